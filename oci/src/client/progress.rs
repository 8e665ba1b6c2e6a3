//! What a push tells while it goes on, for bars and lines.

use std::fmt;
use std::sync::Arc;

use crate::digest::Digest;

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Linked from another repository.
    Mounted,
    /// It was there.
    Present,
    /// Its bytes were sent.
    Uploaded,
}

/// Hears how a push goes on. Called from the tasks that send, so it must not block.
pub trait Progress: Send + Sync {
    /// So many bytes of a blob are sent. It may fall: what a broken connection lost is sent again.
    fn sent(&self, blob: &Digest, bytes: u64);
    /// A blob of so many bytes is in the repository.
    fn arrived(&self, blob: &Digest, bytes: u64, how: Arrival);
}

/// Whom to tell about one blob.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) progress: Arc<dyn Progress>,
    pub(super) blob: Digest,
}

impl Told {
    pub(super) fn at(&self, bytes: u64) {
        self.progress.sent(&self.blob, bytes);
    }
}

impl fmt::Debug for dyn Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
