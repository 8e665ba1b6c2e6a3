//! The embedded OCI registry: the distribution specification's routes over a blob store, behind [`Authorize`].
//!
//! One request: `route` (which operation of which repository) → `authorize` → `blobs`, `uploads`, `manifests`,
//! `tags` or `referrers` → [`store`]. A blob is visible in a repository only when it was uploaded or mounted there, so
//! that tenants share bytes on disk but cannot read each other's.
//!
//! [`collect`] removes what nobody can reach, [`sweep`] before it what its embedder has no use for. Beyond the specification: `GET /v2/_catalog` lists the repositories that
//! the caller may pull from, and `POST /v2/<name>/_zipship/clean` removes manifests without a tag (`clean`). Mounts
//! without `from`, which the specification leaves open, become uploads.
#![forbid(unsafe_code)]

mod authorize;
mod blobs;
mod catalog;
mod clean;
mod collect;
mod error;
mod manifests;
mod quota;
mod range;
mod referrers;
mod retire;
mod route;
pub mod store;
mod tags;
mod uploads;

use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use authorize::{Action, Authorize, Denied};
pub use collect::{Collected, collect};
pub use retire::{Retired, Swept, sweep};
pub use route::router;
use store::{Disk, Sessions};

/// A registry: its store, who may do what, and its limits.
#[derive(Clone)]
pub struct Registry {
    store: Disk,
    sessions: Arc<Sessions>,
    authorize: Arc<dyn Authorize>,
    limits: Limits,
    /// Held while content is added to a namespace that has a quota.
    adding: Arc<Mutex<()>>,
    /// One cleaning at a time.
    cleaning: Arc<tokio::sync::Mutex<()>>,
}

/// What one request may weigh, and what a cleaning leaves alone.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest manifest, in bytes.
    pub manifest: usize,
    /// The longest blob, in bytes.
    pub blob: u64,
    /// What was used within this time is not removed.
    pub grace: Duration,
}

impl Default for Limits {
    /// 4 MiB as the specification advises, 4 GiB, and a day.
    fn default() -> Self {
        Self { manifest: 4 << 20, blob: 4 << 30, grace: Duration::from_secs(24 * 3600) }
    }
}

impl Registry {
    /// A registry over this store.
    pub fn new(store: Disk, authorize: Arc<dyn Authorize>) -> Self {
        Self {
            sessions: Arc::new(Sessions::new(store.clone())),
            store,
            authorize,
            limits: Limits::default(),
            adding: Arc::default(),
            cleaning: Arc::default(),
        }
    }

    /// The same registry with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}
