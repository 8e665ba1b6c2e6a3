//! The file with the master key: 32 random bytes, readable by its owner only. Purposes get keys derived from it.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox};
use sha2::Sha256;

const KEY_BYTES: usize = 32;

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
    /// Others may read it.
    #[error("the key file {path} has mode {mode:o}; others may read it: chmod 600 {path}")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a key.
    #[error("the key file {path} has {found} bytes, not {KEY_BYTES}: it is no key of zipship")]
    Length {
        /// Which file.
        path: PathBuf,
        /// Bytes in it.
        found: usize,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// The key from which all others are derived. It cannot be printed.
pub struct MasterKey(SecretBox<[u8; KEY_BYTES]>);

impl MasterKey {
    /// Reads the key file, or makes it when there is none.
    ///
    /// # Errors
    /// [`KeyFileError`]: unreadable, readable by others, of another length.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(KeyFileError::Io { path: path.to_owned(), source }),
        }
    }

    fn read(path: &Path, mut file: File) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.to_owned(), source };
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Vec::with_capacity(KEY_BYTES);
        file.read_to_end(&mut bytes).map_err(io)?;
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
            .map_err(|_| KeyFileError::Length { path: path.to_owned(), found: bytes.len() })?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// Writes a temporary file first: a kill in the middle never leaves half a key under the name.
    fn create(path: &Path) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.to_owned(), source };
        let mut key = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| KeyFileError::NoRandom)?;
        let temporary = path.with_extension("new");
        let _ = std::fs::remove_file(&temporary);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(io)?;
        file.write_all(&key).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&temporary, path).map_err(io)?;
        if let Some(parent) = path.parent() {
            File::open(parent).and_then(|directory| directory.sync_all()).map_err(io)?;
        }
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// A key for one purpose. Different purposes give unrelated keys.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        let mut mac = hmac_of(self.0.expose_secret());
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// HMAC-SHA256 under a 32-byte key.
pub(crate) fn hmac_of(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = MasterKey::load_or_create(&path).unwrap().derive("x");
        assert_eq!(MasterKey::load_or_create(&path).unwrap().derive("x"), made);
        assert_ne!(MasterKey::load_or_create(&path).unwrap().derive("y"), made);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_may_read_or_of_another_length_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        MasterKey::load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(KeyFileError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, [0; 31]).unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(KeyFileError::Length { found: 31, .. })));
    }
}
