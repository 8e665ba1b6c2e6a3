//! What every request handler has at hand.

use std::{ops::Deref, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::{
    archives::{ArchiveStore, Presigner},
    config::Config,
    logs::Logs,
    metrics::Metrics,
    rate::Limiter,
    store::Store,
};

/// What the API tells whoever runs deploys and instances. The store is written before each call, so a lost call
/// loses nothing: the next sweep or start finds it there.
pub trait Deployments: Send + Sync {
    /// There is a deploy to claim.
    fn poke(&self);
    /// `min_scale` or `max_scale` of a function changed, without a deploy.
    fn rescaled(&self, function_id: &str);
    /// A function is `deleting`: resolves when nothing of it runs or is routed any more.
    fn removed(&self, function_id: &str) -> BoxFuture<'static, ()>;
}

/// State of the API. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// Parts of [`AppState`].
pub struct Parts {
    /// Configuration.
    pub config: Config,
    /// The store.
    pub store: Store,
    /// Uploaded archives.
    pub archives: ArchiveStore,
    /// What applications say.
    pub logs: Logs,
    /// Makes and checks presigned URLs.
    pub presigner: Presigner,
    /// Who runs deploys and instances.
    pub deployments: Arc<dyn Deployments>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How many requests are answered.
    pub limiter: Limiter,
    /// Rings when a namespace left `creating`.
    pub namespace_settled: Notify,
    /// Rings when a cron was made, changed or removed.
    pub crons_changed: Notify,
}

impl AppState {
    /// The state over its parts.
    #[must_use]
    pub fn new(
        config: Config,
        store: Store,
        archives: impl Into<ArchiveStore>,
        logs: Logs,
        presigner: Presigner,
        deployments: Arc<dyn Deployments>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Parts {
            limiter: Limiter::new(config.rates),
            metrics,
            config,
            store,
            archives: archives.into(),
            logs,
            presigner,
            deployments,
            namespace_settled: Notify::new(),
            crons_changed: Notify::new(),
        }))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
