//! What a backup says of itself: the last but one of its files.

use serde::{Deserialize, Serialize};

/// Its name in a backup.
pub(super) const NAME: &str = "manifest.json";
/// The file with the manifest's own SHA-256.
pub(super) const DIGEST_NAME: &str = "manifest.json.sha256";
/// Version of the backup's form.
pub(super) const VERSION: u32 = 1;

/// A backup's table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the form.
    pub version: u32,
    /// Which zipship made it.
    pub zipship: String,
    /// When the state was as it is here, RFC 3339.
    pub taken: String,
    /// Version of the database's tables.
    pub tables: i64,
    /// `sqlite`: it is in here; `postgresql`: it is saved by its own means.
    pub database: String,
    /// The bucket that archives are in; none: they are in here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Ids of the keys in the key file, the one that seals first; empty: it is not in here.
    pub keys: Vec<String>,
    /// What was missing on the server too.
    pub warnings: Vec<String>,
    /// All other files.
    pub files: Vec<Packed>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Path below the server's directory, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Bytes of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}
