//! `/healthz`: this process lives. `/readyz`: it is worth sending requests to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::json;

use crate::store::Store;

/// A store that takes longer does not answer.
const STORE_LIMIT: Duration = Duration::from_secs(2);

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Base images are being looked at, deletes taken up again.
    Starting,
    /// It takes all there is.
    Serving,
    /// The end was asked for.
    Stopping,
}

/// What is known of the server's health.
#[derive(Clone)]
pub(super) struct Health {
    store: Store,
    phase: Arc<AtomicU8>,
}

impl Health {
    pub(super) fn new(store: Store) -> Self {
        Self { store, phase: Arc::new(AtomicU8::new(Phase::Starting as u8)) }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Stopping as u8
    }

    /// The two routes.
    pub(super) fn router(&self) -> Router {
        let alive = async || Json(json!({"status": "alive"}));
        Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(self.clone())
    }

    /// Why requests had better go elsewhere; nothing when they need not.
    async fn reasons(&self) -> Vec<String> {
        let phase = self.phase.load(Ordering::Relaxed);
        let mut reasons = Vec::new();
        if phase == Phase::Stopping as u8 {
            reasons.push("the server is stopping".to_owned());
        } else if phase == Phase::Starting as u8 {
            reasons.push("the server is starting: its base images are not loaded yet".to_owned());
        }
        match tokio::time::timeout(STORE_LIMIT, self.store.answers()).await {
            Ok(Ok(())) => {}
            // Its own words stay in the log: they may name hosts.
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database does not answer");
                reasons.push("the database does not answer".to_owned());
            }
            Err(_) => {
                reasons.push(format!("the database does not answer within {} s", STORE_LIMIT.as_secs()))
            }
        }
        reasons
    }
}

async fn ready(State(health): State<Health>) -> Response {
    let reasons = health.reasons().await;
    match reasons.is_empty() {
        true => Json(json!({"status": "ready", "reasons": []})).into_response(),
        false => {
            let body = Json(json!({"status": "not ready", "reasons": reasons}));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}
