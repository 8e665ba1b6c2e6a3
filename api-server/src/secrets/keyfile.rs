//! The file with the master keys, readable by its owner only:
//!
//! ```text
//! zipship keys 2
//! 8c1f03aa 5f0c...   64 digits: the key that seals
//! 07be4419 91ab...   older ones, until nothing is sealed with them
//! ```
//!
//! A line is a key's id and the key. The first version was one key's 32 bytes and nothing else; it is still read.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::{SecretBox, zeroize::Zeroizing};

use super::key::{KEY_BYTES, MasterKey};

const HEAD: &str = "zipship keys ";
const VERSION: u32 = 2;
/// A key file has a few lines; what is longer is none.
const MOST_BYTES: u64 = 64 * 1024;

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("the key file {path} cannot be used: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// It is not there.
    #[error("the key file {path} is missing: put it back from where it was kept, or restore a backup")]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("the key file {path} has mode {mode:o}; others may read it: chmod 600 {path}")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a key file.
    #[error("the key file {path} cannot be read: {what}; put it back from where it was kept")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, without what is in it.
        what: String,
    },
    /// A newer program wrote it.
    #[error(
        "the key file {path} is of version {found}, made by a newer zipship; this one knows version {VERSION}"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// What tells one content of the file from another without reading it: it is only ever replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(about: &std::fs::Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

/// The stamp of the file as it is now; `None` when it is not there.
pub(super) fn stamp(path: &Path) -> Result<Option<Stamp>, KeyFileError> {
    match std::fs::metadata(path) {
        Ok(about) => Ok(Some(Stamp::of(&about))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Io { path: path.to_owned(), source }),
    }
}

/// The keys in the file, the one that seals first.
pub(super) fn read(path: &Path) -> Result<(Stamp, Vec<MasterKey>), KeyFileError> {
    let io = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(io)?;
    let keys = match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        Ok(first_version) => vec![MasterKey::new(SecretBox::new(Box::new(first_version)))],
        Err(_) => parse(path, &bytes)?,
    };
    Ok((Stamp::of(&about), keys))
}

/// Puts these keys into the file, in one step: killed at any point it has what it had or all of these.
pub(super) fn replace<'a>(
    path: &Path,
    keys: impl Iterator<Item = &'a MasterKey>,
) -> Result<Stamp, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{HEAD}{VERSION}");
    for key in keys {
        let _ = write!(text, "{} ", key.id());
        for byte in key.expose() {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    std::fs::rename(&temporary, path).map_err(io)?;
    if let Some(parent) = path.parent() {
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(io)?;
    }
    Ok(Stamp::of(&file.metadata().map_err(io)?))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<MasterKey>, KeyFileError> {
    let malformed = |what: String| KeyFileError::Malformed { path: path.to_owned(), what };
    let no_key = || malformed(format!("its {} bytes are no key of zipship", bytes.len()));
    let text = std::str::from_utf8(bytes).map_err(|_| no_key())?;
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix(HEAD)).ok_or_else(no_key)?;
    let version: u32 = version.trim().parse().map_err(|_| no_key())?;
    if version != VERSION {
        return Err(KeyFileError::Newer { path: path.to_owned(), found: version });
    }
    let mut keys = Vec::new();
    for (number, line) in lines.enumerate() {
        let key = line.split_once(' ').and_then(|(id, hex)| {
            let key = MasterKey::new(unhex(hex)?);
            (key.id().to_string() == id).then_some(key)
        });
        keys.push(key.ok_or_else(|| malformed(format!("line {} is no key, or was changed", number + 2)))?);
    }
    if keys.is_empty() {
        return Err(malformed("it has no key".to_owned()));
    }
    Ok(keys)
}

fn unhex(text: &str) -> Option<SecretBox<[u8; KEY_BYTES]>> {
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = Box::new([0; KEY_BYTES]);
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(SecretBox::new(key))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(path: &Path, content: impl AsRef<[u8]>) {
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn what_is_written_is_read_again_by_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let keys = [MasterKey::random().unwrap(), MasterKey::random().unwrap()];
        let stamp = replace(&path, keys.iter()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (read_stamp, read) = read(&path).unwrap();
        assert_eq!(read_stamp, stamp);
        assert_eq!(read.iter().map(MasterKey::id).collect::<Vec<_>>(), keys.each_ref().map(MasterKey::id));
        assert_eq!(*read[1].derive("x"), *keys[1].derive("x"));
        assert_ne!(*read[1].derive("x"), *keys[1].derive("y"));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_the_first_version_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, [7; 32]);
        let (_, keys) = read(&path).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].expose(), &[7; 32]);
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_telling_what_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert!(matches!(read(&path), Err(KeyFileError::Missing { .. })));
        replace(&path, std::iter::once(&MasterKey::random().unwrap())).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Exposed { mode: 0o640, .. })));
        // Every changed character is noticed.
        for at in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[at] ^= 1;
            write(&path, &changed);
            let error = read(&path).err().map(|error| error.to_string());
            let key = good.lines().nth(1).unwrap().split_once(' ').unwrap().1;
            assert!(error.as_ref().is_some_and(|text| !text.contains(&key[..8])), "{at}: {error:?}");
        }
        for (content, part) in [
            (&b""[..], "0 bytes"),
            (&[0; 31][..], "31 bytes"),
            (&[0xff; 33][..], "33 bytes"),
            (b"zipship keys 3\n", "newer zipship"),
            (b"zipship keys 2\n", "no key"),
            (b"zipship keys 2\n00000000 abc\n", "line 2"),
        ] {
            write(&path, content);
            let error = read(&path).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
