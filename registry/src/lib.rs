//! The embedded OCI registry: the distribution specification's routes over a blob store, behind [`Authorize`].
//!
//! One request: `route` (which operation of which repository) → `authorize` → `blobs`, `uploads`, `manifests`,
//! `tags` or `referrers` → [`store`]. A blob is visible in a repository only when it was uploaded or mounted there, so
//! that tenants share bytes on disk but cannot read each other's.
//!
//! [`collect`] removes what nobody can reach. Not there yet: mounts without `from`.
#![forbid(unsafe_code)]

mod authorize;
mod blobs;
mod collect;
mod error;
mod manifests;
mod range;
mod referrers;
mod route;
pub mod store;
mod tags;
mod uploads;

use std::sync::Arc;

pub use authorize::{Action, Authorize, Denied};
pub use collect::{Collected, collect};
pub use route::router;
use store::{Disk, Sessions};

/// A registry: its store, who may do what, and its limits.
#[derive(Clone)]
pub struct Registry {
    store: Disk,
    sessions: Arc<Sessions>,
    authorize: Arc<dyn Authorize>,
    limits: Limits,
}

/// What one request may weigh.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest manifest, in bytes.
    pub manifest: usize,
    /// The longest blob, in bytes.
    pub blob: u64,
}

impl Default for Limits {
    /// 4 MiB as the specification advises, and 4 GiB.
    fn default() -> Self {
        Self { manifest: 4 << 20, blob: 4 << 30 }
    }
}

impl Registry {
    /// A registry over this store.
    pub fn new(store: Disk, authorize: Arc<dyn Authorize>) -> Self {
        Self { sessions: Arc::new(Sessions::new(store.clone())), store, authorize, limits: Limits::default() }
    }

    /// The same registry with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}
