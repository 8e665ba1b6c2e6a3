//! One moment of the state, as links and a copy of the database in a directory of its own.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{BackupError, KeyFile, Manifest, file, manifest};
use crate::{
    Config, archives,
    store::{Database, NeededImage, Store, newest_tables},
};

const DIRECTORY: &str = "backup";
const LOCK: &str = "backup.lock";
/// How often it is done again when something was removed meanwhile.
const ATTEMPTS: u32 = 5;
/// Below the registry's directory, what points before what is pointed to. Uploads under way are not kept.
const REGISTRY: &str = "registry";
const REGISTRY_PARTS: [&str; 2] = ["repositories", "blobs"];

/// The directory of the one backup that is under way.
pub(super) struct Staging {
    path: PathBuf,
    _alone: File,
}

impl Staging {
    /// An empty one; what a killed backup left goes.
    pub(super) fn open(config: &Config) -> Result<Self, BackupError> {
        let alone = lock(config)?.ok_or(BackupError::Busy)?;
        let path = config.data.join(DIRECTORY);
        remove(&path).and_then(|()| fs::create_dir(&path)).map_err(file(&path))?;
        Ok(Self { path, _alone: alone })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn remove(self) -> Result<(), BackupError> {
        remove(&self.path).map_err(file(&self.path))
    }
}

/// For a start of the server: removes what a killed backup left; leaves one that is under way alone.
///
/// # Errors
/// [`BackupError::File`].
pub fn clean(config: &Config) -> Result<(), BackupError> {
    let path = config.data.join(DIRECTORY);
    match lock(config)? {
        Some(_alone) => remove(&path).map_err(file(&path)),
        None => Ok(()),
    }
}

fn lock(config: &Config) -> Result<Option<File>, BackupError> {
    let path = config.data.join(LOCK);
    let opened = File::options().create(true).append(true).open(&path).map_err(file(&path))?;
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(opened)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(file(path)(error.into())),
    }
}

/// Fills the staging directory. The manifest has no files yet.
pub(super) async fn take(
    config: &Config,
    store: &Store,
    keys: KeyFile,
    staging: &Staging,
) -> Result<Manifest, BackupError> {
    let mut missing = BTreeSet::new();
    for _ in 0..ATTEMPTS {
        let again = attempt(config, store, staging).await?;
        // What is missing a second time is missing on the server.
        let settled = again.is_empty() || again == missing;
        missing = again;
        if settled {
            break;
        }
    }
    let mut held = Vec::new();
    let credentials = config.first_key_file();
    link_if_there(&credentials, &staging.path.join(name_of(&credentials)))?;
    if keys == KeyFile::With {
        link_if_there(&config.key_file(), &staging.path.join(name_of(&config.key_file())))?;
        held = store.sealer().keys().ids().iter().map(ToString::to_string).collect();
    }
    let database = match config.database() {
        Database::Sqlite(_) => "sqlite",
        Database::Postgres(_) => "postgresql",
    };
    Ok(Manifest {
        version: manifest::VERSION,
        zipship: env!("CARGO_PKG_VERSION").to_owned(),
        taken: jiff::Timestamp::now().to_string(),
        tables: newest_tables(),
        database: database.to_owned(),
        bucket: config.bucket.as_ref().map(ToString::to_string),
        keys: held,
        warnings: missing.into_iter().collect(),
        files: Vec::new(),
    })
}

/// Database and links, anew. Answers what the database names and is not there.
async fn attempt(config: &Config, store: &Store, staging: &Staging) -> Result<BTreeSet<String>, BackupError> {
    remove(&staging.path).and_then(|()| fs::create_dir(&staging.path)).map_err(file(&staging.path))?;
    let archives = config.archives();
    let _none_goes = archives::hold(&archives).map_err(file(&archives))?;
    let needed = match config.database() {
        Database::Sqlite(path) => {
            let copy = staging.path.join(name_of(&path));
            store.copy_to(&copy).await?;
            File::open(&copy).and_then(|copy| copy.sync_all()).map_err(file(&copy))?;
            Store::needed_by_copy(&copy).await?
        }
        // Saved by its own means; what it names now is looked for.
        Database::Postgres(_) => store.needed_files().await?,
    };
    let kept = staging.path.join(name_of(&archives));
    if config.bucket.is_none() {
        link_tree(&archives, &kept, &|name| name.ends_with(".zip"))?;
    }
    for part in REGISTRY_PARTS {
        let place = Path::new(REGISTRY).join(part);
        link_tree(&config.data.join(&place), &staging.path.join(&place), &|_| true)?;
    }
    let logs = config.logs();
    link_tree(&logs, &staging.path.join(name_of(&logs)), &|_| true)?;
    let mut missing = BTreeSet::new();
    // A bucket is saved by its own means.
    for key in needed.archives.iter().filter(|_| config.bucket.is_none()) {
        if !kept.join(format!("{key}.zip")).exists() {
            missing.insert(format!("the archive {key} of a function is not there"));
        }
    }
    let registry = staging.path.join(REGISTRY);
    for image in &needed.images {
        if let Some(what) = lacks(&registry, image).map_err(file(&registry))? {
            missing.insert(what);
        }
    }
    Ok(missing)
}

/// What is missing of an image that serves.
fn lacks(registry: &Path, image: &NeededImage) -> io::Result<Option<String>> {
    let NeededImage { repository, digest } = image;
    let Some(hex) = digest.strip_prefix("sha256:") else { return Ok(None) };
    let blobs = registry.join("blobs/sha256");
    let link = registry.join("repositories").join(repository).join("_manifests").join(hex);
    let bytes = match fs::read(blobs.join(hex)) {
        Ok(bytes) if link.exists() => bytes,
        Ok(_) => return Ok(Some(format!("the image {repository}@{digest} is not there"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(format!("the image {repository}@{digest} is not there")));
        }
        Err(error) => return Err(error),
    };
    let parsed: serde_json::Value = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
    let layers = parsed["layers"].as_array().into_iter().flatten();
    let parts = layers.chain(std::iter::once(&parsed["config"])).filter_map(|part| part["digest"].as_str());
    let absent =
        parts.filter_map(|digest| digest.strip_prefix("sha256:")).find(|hex| !blobs.join(hex).exists());
    Ok(absent.map(|hex| format!("the image {repository}@{digest} lacks its part sha256:{hex}")))
}

/// Links all files below a directory. One that goes meanwhile is left out, which is found out later.
fn link_tree(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<(), BackupError> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(file(from))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file(from)(error)),
    };
    fs::create_dir_all(to).map_err(file(to))?;
    let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
    // Of a repository tags, referrers, manifests, blobs: what points before what it points to.
    names.sort_unstable_by(|a, b| b.cmp(a));
    for name in names {
        let (from, to) = (from.join(&name), to.join(&name));
        // Of the link itself: what it points to may be anybody's.
        let Ok(about) = fs::symlink_metadata(&from) else { continue };
        if about.is_dir() {
            link_tree(&from, &to, wanted)?;
        } else if about.is_file() && wanted(&name.to_string_lossy()) {
            link_if_there(&from, &to)?;
        }
    }
    Ok(())
}

fn link_if_there(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file(from)(error)),
        _ => Ok(()),
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last component of a path of the configuration.
fn name_of(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}
