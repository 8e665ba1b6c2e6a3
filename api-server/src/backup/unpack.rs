//! One tar file to files again, each checked against the manifest.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, Read, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType};

use super::{
    Manifest, Packed, Progress,
    manifest::{DIGEST_NAME, NAME, VERSION},
};
use crate::store::{hex, newest_tables};

/// A manifest names each file; more than this is none.
const LONGEST_MANIFEST: u64 = 1 << 30;
const BUFFER: usize = 1 << 20;

/// Why a backup was not read. Nothing of it is to be used.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is no backup, or cut off or changed where nothing more can be told.
    #[error("this is no whole backup of zipship: {0}")]
    Broken(String),
    /// A file is not the one that was saved.
    #[error("{path} of the backup is not what was saved: {what}")]
    Changed {
        /// Which file.
        path: String,
        /// What differs.
        what: &'static str,
    },
    /// A newer program made it.
    #[error(
        "the backup was made by a newer zipship ({zipship}): {what} is of version {found}, this one knows {known}"
    )]
    Newer {
        /// Which zipship.
        zipship: String,
        /// What is newer.
        what: &'static str,
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// What is read cannot be kept.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Reads a backup of `bytes` bytes into the empty directory `into`. When this answers well, all that the manifest names
/// is there, and nothing else.
///
/// # Errors
/// [`UnpackError`].
pub fn unpack(input: File, into: &Path, progress: Progress<'_>) -> Result<Manifest, UnpackError> {
    let all = input.metadata().map(|about| about.len()).unwrap_or_default();
    let mut archive = Archive::new(BufReader::with_capacity(BUFFER, input));
    let (mut found, mut manifest, mut digest) = (BTreeMap::new(), None, None);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = name(&entry)?;
        match name.as_str() {
            NAME => manifest = Some(small(&mut entry)?),
            DIGEST_NAME => digest = Some(small(&mut entry)?),
            _ => {
                progress(entry.raw_file_position().min(all), all);
                let packed = keep(&mut entry, &into.join(&name), &name)?;
                if found.insert(name.clone(), packed).is_some() {
                    return Err(UnpackError::Broken(format!("it has {name} twice")));
                }
            }
        }
    }
    let (Some(manifest), Some(digest)) = (manifest, digest) else {
        return Err(UnpackError::Broken("it ends before its manifest, as one that was cut off".to_owned()));
    };
    if digest != format!("{}  {NAME}\n", hex(&Sha256::digest(&manifest))).into_bytes() {
        return Err(UnpackError::Changed { path: NAME.to_owned(), what: "its SHA-256 differs" });
    }
    let manifest = read(&manifest)?;
    compare(&manifest, &found)?;
    progress(all, all);
    Ok(manifest)
}

fn read(bytes: &[u8]) -> Result<Manifest, UnpackError> {
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| UnpackError::Broken(format!("{NAME}: {error}")))?;
    let versions = [
        ("its form", i64::from(manifest.version), i64::from(VERSION)),
        ("the database", manifest.tables, newest_tables()),
    ];
    for (what, found, known) in versions {
        if found > known {
            return Err(UnpackError::Newer { zipship: manifest.zipship, what, found, known });
        }
    }
    Ok(manifest)
}

fn compare(manifest: &Manifest, found: &BTreeMap<String, Packed>) -> Result<(), UnpackError> {
    let changed = |path: &str, what| UnpackError::Changed { path: path.to_owned(), what };
    for expected in &manifest.files {
        match found.get(&expected.path) {
            None => return Err(changed(&expected.path, "it is missing")),
            Some(found) if found.size != expected.size => {
                return Err(changed(&expected.path, "its size differs"));
            }
            Some(found) if found.sha256 != expected.sha256 => {
                return Err(changed(&expected.path, "its SHA-256 differs"));
            }
            Some(_) => {}
        }
    }
    let listed: std::collections::BTreeSet<_> = manifest.files.iter().map(|file| &file.path).collect();
    match found.keys().find(|path| !listed.contains(path)) {
        Some(path) => Err(changed(path, "the manifest does not name it")),
        None => Ok(()),
    }
}

/// Below the directory, whatever it says.
fn name<R: Read>(entry: &Entry<'_, R>) -> Result<String, UnpackError> {
    let path = entry.path().map_err(broken)?.into_owned();
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    let shown = path.to_str().filter(|_| stays && entry.header().entry_type() == EntryType::Regular);
    shown.map(str::to_owned).ok_or_else(|| UnpackError::Broken(format!("it has {}", path.display())))
}

fn small<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    entry.take(LONGEST_MANIFEST).read_to_end(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

fn keep<R: Read>(entry: &mut Entry<'_, R>, path: &Path, name: &str) -> Result<Packed, UnpackError> {
    let file = |source| UnpackError::File { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(file)?;
    }
    let mut kept = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        let read = entry.read(&mut buffer).map_err(broken)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        kept.write_all(&buffer[..read]).map_err(file)?;
        size += read as u64;
    }
    // What is secret stays 0600; the launcher's helpers need not read any of it.
    kept.set_permissions(fs::Permissions::from_mode(0o600)).map_err(file)?;
    Ok(Packed { path: name.to_owned(), size, sha256: hex(&hasher.finalize()) })
}

fn broken(error: io::Error) -> UnpackError {
    UnpackError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::pack;

    fn manifest() -> Manifest {
        Manifest {
            version: VERSION,
            zipship: "0".into(),
            taken: "now".into(),
            tables: 1,
            database: "sqlite".into(),
            bucket: None,
            keys: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
        }
    }

    /// A backup of two files in a directory, as bytes.
    fn packed(at: &Path, mut manifest: Manifest) -> Vec<u8> {
        let from = at.join("from");
        fs::create_dir_all(from.join("archives")).unwrap();
        fs::write(from.join("archives/a.zip"), "archive of a function").unwrap();
        fs::write(from.join("zipship.db"), [1; 5000]).unwrap();
        let output = at.join("packed");
        pack::pack(&from, &mut manifest, File::create(&output).unwrap(), &|_, _| {}).unwrap();
        fs::read(output).unwrap()
    }

    fn unpacked(at: &Path, bytes: &[u8]) -> Result<Manifest, UnpackError> {
        let (input, into) = (at.join("input"), at.join("into"));
        let _ = fs::remove_dir_all(&into);
        fs::create_dir(&into).unwrap();
        fs::write(&input, bytes).unwrap();
        unpack(File::open(input).unwrap(), &into, &|_, _| {})
    }

    #[test]
    fn what_was_packed_comes_out_and_every_changed_byte_of_a_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let good = packed(at, manifest());
        let manifest = unpacked(at, &good).unwrap();
        let names: Vec<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["archives/a.zip", "zipship.db"]);
        assert_eq!(fs::read(at.join("into/archives/a.zip")).unwrap(), b"archive of a function");
        assert_eq!(manifest.bytes(), 5021);
        let begin = good.windows(7).position(|window| window == b"archive").unwrap();
        // Each byte of the first file, and of the rest enough to meet every field.
        let content = begin + 512..begin + 512 + 21;
        for offset in (0..good.len()).filter(|offset| content.contains(offset) || offset % 31 == 0) {
            let mut changed = good.clone();
            changed[offset] ^= 0x40;
            let result = unpacked(at, &changed);
            if content.contains(&offset) {
                let error = result.unwrap_err().to_string();
                assert!(error.contains("archives/a.zip") && error.contains("SHA-256"), "{offset}: {error}");
            } else if let Ok(same) = result {
                // Bytes that fill up a block say nothing.
                assert_eq!(same, manifest, "{offset}");
                assert_eq!(fs::read(at.join("into/zipship.db")).unwrap(), [1; 5000], "{offset}");
            }
        }
    }

    #[test]
    fn what_is_cut_off_newer_or_not_named_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let good = packed(at, manifest());
        for length in [0, 100, 600, 2000, good.len() - 2000] {
            let error = unpacked(at, &good[..length]).unwrap_err().to_string();
            assert!(error.contains("no whole backup"), "{length}: {error}");
        }
        for newer in
            [Manifest { version: VERSION + 1, ..manifest() }, Manifest { tables: 4000, ..manifest() }]
        {
            let error = unpacked(at, &packed(at, newer)).unwrap_err();
            assert!(matches!(error, UnpackError::Newer { .. }), "{error}");
        }
        let mut twice = tar::Builder::new(Vec::new());
        for _ in 0..2 {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            header.set_mode(0o600);
            twice.append_data(&mut header, "zipship.db", std::io::empty()).unwrap();
        }
        assert!(unpacked(at, &twice.into_inner().unwrap()).is_err());
        let mut out = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        out.append_link(&mut header, "archives", "/etc").unwrap();
        let error = unpacked(at, &out.into_inner().unwrap()).unwrap_err().to_string();
        assert!(error.contains("it has archives"), "{error}");
    }
}
