//! How much the modules of one function may be.

use std::time::Duration;

/// Limits of what is fetched for one function. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleLimits {
    /// One file of a proxy.
    pub file_bytes: u64,
    /// All files of a proxy.
    pub total_bytes: u64,
    /// All modules, unpacked.
    pub unpacked_bytes: u64,
    /// Requests, those that fail included.
    pub requests: usize,
    /// How long fetching may take.
    pub time: Duration,
}

impl Default for ModuleLimits {
    fn default() -> Self {
        Self {
            file_bytes: 100 << 20,
            total_bytes: 250 << 20,
            unpacked_bytes: 500 << 20,
            requests: 4000,
            time: Duration::from_secs(120),
        }
    }
}
