//! How many descriptors a process may have. The shim takes all it can get, for connections; a worker gets what
//! the shim was started with, since some programs go through every number below the limit.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

static ORIGINAL: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit to the hard one. Where that is refused the old one stays.
pub(crate) fn raise() {
    let original = ORIGINAL.get_or_init(|| getrlimit(Resource::Nofile));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: original.maximum, ..*original });
}

/// Back to what it was before [`raise`]. For a child between fork and exec: no allocation, no lock.
pub(super) fn restore() -> io::Result<()> {
    match ORIGINAL.get() {
        Some(original) => Ok(setrlimit(Resource::Nofile, *original)?),
        None => Ok(()),
    }
}
