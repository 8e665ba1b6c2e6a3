//! `zipship backup`: the state of a server on this machine, which may run meanwhile, as one file.
//!
//! Root makes the file where it is to be; the state is read by a thread that has become the server's user, so that no
//! link of that user's leads further than he gets.

use std::{
    fs::{self, File},
    io::IsTerminal as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::{Context as _, bail};
use api_server::{
    Config,
    archives::BucketPlace,
    backup::{self, KeyFile, Manifest},
};
use clap::Args;
use rustix::fs::{FlockOperation, RenameFlags, flock, renameat_with};
use serde_json::json;

use super::{progress, state::OwnState};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 there is no backup (the reason is on standard error), 2 wrong \
    arguments.";

/// Arguments of `backup`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Backup {
    /// The file to write, which must not be there; in a directory that is there, one with the time in its name.
    #[arg(value_name = "FILE|DIR")]
    target: PathBuf,
    #[command(flatten)]
    place: OwnState,
    /// The bucket that archives are in: they are left out.
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    archives: Option<BucketPlace>,
    /// Leave out the key file: without the one that is kept elsewhere nobody reads the secrets, nor starts a server.
    #[arg(long)]
    without_keys: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Backup) -> anyhow::Result<ExitCode> {
    let target = Target::open(&arguments.target)?;
    let output = target.file.try_clone()?;
    let bar = progress::bytes("backing up");
    let show = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let keys = if arguments.without_keys { KeyFile::Without } else { KeyFile::With };
    let read = || {
        arguments.place.open_with(async |config, store| {
            let config = Config { bucket: arguments.archives.clone(), ..config.clone() };
            Ok(backup::back_up(&config, store, keys, output, &show).await?)
        })
    };
    let made = thread::scope(|scope| scope.spawn(read).join());
    bar.finish_and_clear();
    let Ok(made) = made else { bail!("the backup broke off") };
    let manifest = made?;
    let path = target.keep()?;
    arguments.report(&manifest, &path);
    Ok(ExitCode::SUCCESS)
}

impl Backup {
    fn report(&self, manifest: &Manifest, path: &Path) {
        for warning in &manifest.warnings {
            eprintln!("warning: {warning}, nor on the server");
        }
        if self.without_keys {
            eprintln!(
                "the key file is not in it: keep {} elsewhere, without it the secrets in this backup are lost",
                self.place.data().join("server/secret.key").display()
            );
        }
        if manifest.database != "sqlite" {
            eprintln!(
                "the database is not in it: save it with pg_dump, before the rest, as docs/backup.md has it"
            );
        }
        if let Some(bucket) = &manifest.bucket {
            eprintln!("the archives are not in it: they are in {bucket}");
        }
        if self.place.json {
            let printed = json!({
                "path": path, "files": manifest.files.len(), "bytes": manifest.bytes(), "taken": manifest.taken,
                "database": manifest.database, "bucket": manifest.bucket, "keys": manifest.keys, "warnings": manifest.warnings,
            });
            println!("{printed:#}");
        } else {
            println!("{} files, {} bytes, in {}", manifest.files.len(), manifest.bytes(), path.display());
            if !self.without_keys && std::io::stdout().is_terminal() {
                println!("whoever can read it can read the secrets in it: it is for root only (mode 0600)");
            }
        }
    }
}

/// The backup under another name, until it is whole.
struct Target {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl Target {
    fn open(named: &Path) -> anyhow::Result<Self> {
        let path = if named.is_dir() {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ");
            named.join(format!("zipship-{now}.tar"))
        } else {
            named.to_owned()
        };
        let shown = path.display();
        if fs::symlink_metadata(&path).is_ok() {
            bail!("{shown} is there already: name another file, or remove it");
        }
        let mut part = path.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&part);
        let file = file.with_context(|| format!("making {}", part.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another backup is being written to {shown}");
        }
        // What one that was killed has left.
        file.set_len(0)?;
        Ok(Self { path, part, file })
    }

    fn keep(self) -> anyhow::Result<PathBuf> {
        self.file.sync_all()?;
        renameat_with(rustix::fs::CWD, &self.part, rustix::fs::CWD, &self.path, RenameFlags::NOREPLACE)
            .with_context(|| format!("naming {}", self.path.display()))?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(self.path.clone())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // After `keep` it has another name.
        let _ = fs::remove_file(&self.part);
    }
}
