//! `/metrics`, on an address of its own: what it tells is the operator's, not of those who have an API key.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use gateway::Gateway;
use http::{StatusCode, header::CONTENT_TYPE};

use crate::{
    metrics::{self, Metrics, Now},
    store::Store,
};

/// The registry's size is looked up no more often than this.
const SIZE_EVERY: Duration = Duration::from_secs(30);

/// What the page is made of.
pub(super) struct Sources {
    pub(super) metrics: Arc<Metrics>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) store: Store,
    pub(super) registry: PathBuf,
    pub(super) size: Mutex<Option<(Instant, u64)>>,
}

/// The route.
pub(super) fn router(sources: Sources) -> Router {
    Router::new().route("/metrics", get(page)).with_state(Arc::new(sources))
}

async fn page(State(sources): State<Arc<Sources>>) -> Response {
    let deploys = sources.store.unfinished_deploys().await;
    let deploys = deploys.inspect_err(|error| tracing::warn!(%error, "deploys were not counted")).ok();
    let gateway = sources.gateway.snapshot();
    let counted = Arc::clone(&sources);
    let registry_bytes =
        tokio::task::spawn_blocking(move || counted.registry_bytes()).await.unwrap_or_default();
    let now = Now { gateway, deploys: deploys.map(|deploys| deploys.len()), registry_bytes };
    match metrics::text(&sources.metrics, &now) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Sources {
    fn registry_bytes(&self) -> u64 {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        match *size {
            Some((at, bytes)) if at.elapsed() < SIZE_EVERY => bytes,
            _ => {
                let bytes = bytes_below(&self.registry);
                *size = Some((Instant::now(), bytes));
                bytes
            }
        }
    }
}

/// Sizes of all files; one that goes meanwhile counts as none.
fn bytes_below(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
