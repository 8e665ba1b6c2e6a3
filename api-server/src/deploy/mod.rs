//! A deploy: from the journal's row to an endpoint that answers with the new code.
//!
//! ```text
//!  POST deploy ─▶ queued ─▶ fetching ─▶ building ─▶ pushing ─▶ verifying ─▶ switching ─▶ ready
//!   (journal)      queue     source      source      source     verify       switch       │
//!                              └──────────┴───────────┴───────────┴────────────┴──────▶ error
//! ```
//!
//! A function's archive is read, built and pushed (`image`); a container's image is looked up, brought from where it
//! is (`elsewhere`), looked at and kept by its digest (`container`). The states and their arrows are the journal's ([`crate::store::deploys`]); [`job`] walks them, one file a step.
//! Each step is idempotent by content: an archive by its key, layers and images by digest, a revision by its
//! deploy. Killed at any point, the next start claims the deploy again and repeats the step whose effects were
//! lost. Until `switching` the old revision serves; `ready` is written only after the probe came back through
//! the public path with the new revision's name.

mod compile;
mod container;
mod elsewhere;
mod image;
mod job;
mod locks;
mod news;
mod precompile;
mod queue;
mod routes;
mod scratch;
mod source;
mod switch;
mod verify;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use builder::base::Base;
use gateway::Gateway;
use runner::Backend;
use tokio::sync::Semaphore;

use crate::{
    archives, instances::LocalInstances, logs::Logs, metrics::Metrics, store::Store, usage::UsageKeeper,
};

pub use elsewhere::ForeignImages;
pub use queue::Deployer;

/// Builds at once: they are CPU-bound. A deploy that waits for its instance holds no place.
pub const BUILDS_AT_ONCE: usize = 2;
/// How long a claim is good for; it is renewed while the job goes on.
const LEASE: Duration = Duration::from_secs(30);

/// What deploys work with.
pub struct Platform {
    /// The journal.
    pub store: Store,
    /// Where what a deploy does is told to its owner.
    pub logs: Logs,
    /// Uploaded archives.
    pub archives: archives::ArchiveStore,
    /// Limits of archives.
    pub archive_limits: builder::zip::ArchiveLimits,
    /// The base images by name.
    pub bases: HashMap<String, Arc<Base>>,
    /// Pushes to the registry.
    pub registry: oci::client::Client,
    /// How the registry is reached; the client's.
    pub registry_options: oci::client::Options,
    /// `host:port` of the registry.
    pub registry_host: String,
    /// The same as users name it.
    pub registry_name: String,
    /// Images of other registries; without it containers have none.
    pub foreign_images: Option<ForeignImages>,
    /// Layers of containers, by digest, that were found to unpack to what their image says.
    pub proven: Mutex<HashSet<(oci::Digest, oci::Digest)>>,
    /// Places of [`BUILDS_AT_ONCE`].
    pub building: Semaphore,
    /// Makes sandboxes, also for the Go compiler and for compiled caches.
    pub backend: Arc<dyn Backend>,
    /// Starts what was built.
    pub instances: LocalInstances,
    /// Serves it.
    pub gateway: Arc<Gateway>,
    /// Keeps what was used before an application goes.
    pub usage: Arc<UsageKeeper>,
    /// Where compile jobs have their files, `builds/` of the server's directory.
    pub builds: PathBuf,
    /// Layers that were made before. Functions share it: a layer is found by all that it is made from, so what is
    /// found is what would be made.
    pub layers: Arc<builder::layer::LayerCache>,
    /// Where the modules of Go functions come from.
    pub module_proxy: Option<builder::golang::modules::ModuleProxy>,
    /// Sends the probe.
    pub http: reqwest::Client,
    /// `http://host:port` of the public listener, as this machine reaches it.
    pub public_path: String,
    /// Counts how deploys end.
    pub metrics: Arc<Metrics>,
}
