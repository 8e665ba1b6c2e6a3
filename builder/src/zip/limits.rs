//! How much an archive may be.

use std::time::Duration;

/// Limits of an archive, all of them enforced before or while it is decoded. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// The archive itself.
    pub archive_bytes: u64,
    /// Number of entries, directories included.
    pub entries: u64,
    /// All entries, unpacked.
    pub unpacked_bytes: u64,
    /// One entry, unpacked.
    pub file_bytes: u64,
    /// Unpacked size of all entries over the archive's size; judged above [`ratio_from`](Self::ratio_from).
    pub ratio: u64,
    /// Unpacked over compressed size of one entry; judged above [`ratio_from`](Self::ratio_from).
    pub file_ratio: u64,
    /// Unpacked bytes up to which no ratio is judged: small and very regular files are ordinary.
    pub ratio_from: u64,
    /// One entry's name.
    pub path_bytes: usize,
    /// Components of one entry's name.
    pub depth: usize,
    /// All entries' names together.
    pub names_bytes: u64,
    /// How long decoding may take.
    pub decode_time: Duration,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            archive_bytes: 100 << 20,
            entries: 100_000,
            unpacked_bytes: 500 << 20,
            file_bytes: 500 << 20,
            ratio: 200,
            // Deflate reaches 1032 at the very most; a file of zeros is legal, so only lies are refused.
            file_ratio: 1100,
            ratio_from: 16 << 20,
            path_bytes: 1024,
            depth: 64,
            names_bytes: 16 << 20,
            decode_time: Duration::from_secs(120),
        }
    }
}
