//! One deploy, from its claim to its end: [`walk`] is the whole flow.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use contract::api::Privacy;
use gateway::RouteState;

use super::{
    LEASE, Platform, news,
    routes::{self, Routes},
    source, switch, verify,
};
use crate::{
    metrics::DeployOutcome,
    store::{
        Revision, StoreError,
        deploys::{Deploy, DeployState, Program},
    },
};

/// Why a deploy ends without being ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The function's owner can read and mend it; the text is `error_message`.
    #[error("{0}")]
    Cause(String),
    /// The journal: a newer deploy took over, or the database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure {
    /// A failure with these words.
    pub(super) fn because(cause: impl std::fmt::Display) -> Self {
        Self::Cause(cause.to_string())
    }
}

/// Runs a claimed deploy to its end, and writes the end down.
pub(super) async fn run(platform: &Platform, routes: &Routes, deploy: Deploy) {
    routes.set(&deploy.application_id, RouteState::Deploying);
    // Whichever comes first: the end of the walk, or the loss of the lease (a newer deploy took over). Dropping
    // the walk is safe anywhere: every step may be repeated, and the gateway is told below.
    let (made, began) = (OnceLock::new(), std::time::Instant::now());
    news::begins(platform, &deploy);
    let walked = tokio::select! {
        walked = walk(platform, deploy.clone(), &made) => walked,
        lost = hold_lease(platform, &deploy) => Err(Failure::Store(lost)),
    };
    platform.metrics.deployed(outcome(&walked), began.elapsed());
    match walked {
        Ok(()) => {
            tracing::info!(deploy.id = %deploy.id, application.id = %deploy.application_id, "deploy is ready")
        }
        Err(Failure::Store(error @ StoreError::Stale { .. })) => {
            tracing::info!(deploy.id = %deploy.id, application.id = %deploy.application_id, %error, "deploy was superseded");
            news::superseded(platform, &deploy);
        }
        // The row keeps its state; when its lease has run out it is claimed again.
        Err(Failure::Store(error)) => {
            tracing::error!(deploy.id = %deploy.id, %error, "deploy was interrupted")
        }
        Err(Failure::Cause(cause)) => fail(platform, routes, &deploy, &cause).await,
    }
    platform.gateway.forget_probe(&deploy.application_id, &deploy.nonce);
    if let Some(revision) = made.get() {
        // Without effect when it serves.
        platform.gateway.discard(revision);
    }
    routes.clear_removed(&deploy.application_id).await;
}

fn outcome(walked: &Result<(), Failure>) -> DeployOutcome {
    match walked {
        Ok(()) => DeployOutcome::Ready,
        Err(Failure::Store(StoreError::Stale { .. })) => DeployOutcome::Superseded,
        Err(Failure::Store(_)) => DeployOutcome::Interrupted,
        Err(Failure::Cause(_)) => DeployOutcome::Error,
    }
}

/// fetching → building → pushing → verifying → switching; between two steps, one write of the journal.
async fn walk(platform: &Platform, mut deploy: Deploy, made: &OnceLock<String>) -> Result<(), Failure> {
    let mut source = None;
    let mut revision = None;
    loop {
        let started = tokio::time::Instant::now();
        let step = deploy.state;
        let mut digest = None;
        news::step(platform, &deploy);
        match step {
            DeployState::Queued => {}
            DeployState::Fetching => source = Some(source::fetch(platform, &deploy).await?),
            DeployState::Building => source = Some(source::build(platform, &deploy, source.take()).await?),
            DeployState::Pushing => digest = Some(source::push(platform, &deploy, source.take()).await?),
            DeployState::Verifying => revision = Some(verify::verify(platform, &deploy, made).await?),
            DeployState::Switching => {
                let version = revision.as_ref().map_or(0, |revision: &Revision| revision.version);
                switch::switch(platform, &deploy, revision.take()).await?;
                news::ready(platform, &deploy, version);
            }
            DeployState::Ready | DeployState::Error => return Ok(()),
        }
        tracing::info!(
            deploy.id = %deploy.id, application.id = %deploy.application_id, step = step.name(),
            duration_ms = millis(started.elapsed()), "deploy step done"
        );
        match step.next() {
            None | Some(DeployState::Ready) => return Ok(()),
            Some(next) => {
                deploy = platform.store.step_deploy(&deploy, next, digest.as_deref(), LEASE).await?
            }
        }
    }
}

/// Renews the lease until it is lost.
async fn hold_lease(platform: &Platform, deploy: &Deploy) -> StoreError {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        if let Err(error) = platform.store.renew_lease(deploy, LEASE).await {
            return error;
        }
    }
}

async fn fail(platform: &Platform, routes: &Routes, deploy: &Deploy, cause: &str) {
    tracing::warn!(deploy.id = %deploy.id, application.id = %deploy.application_id, cause, "deploy failed");
    news::failed(platform, deploy, cause);
    match platform.store.deploy_failed(deploy, cause).await {
        Ok(()) => routes.set(&deploy.application_id, routes::failed()),
        Err(error) => {
            tracing::warn!(deploy.id = %deploy.id, %error, "the end of a deploy could not be written");
        }
    }
}

/// A revision as the gateway knows it.
pub(super) fn routed(revision: &Revision) -> Arc<gateway::Revision> {
    let config = &revision.config;
    Arc::new(gateway::Revision {
        id: revision.id.clone(),
        program: match config.program {
            Program::Code(_) => gateway::Program::Function,
            Program::Image { .. } => gateway::Program::Container,
        },
        function_id: revision.application_id.clone(),
        version: revision.version,
        image_digest: revision.image_digest.clone(),
        public: config.privacy != Privacy::Private,
        timeout: Duration::from_millis(config.timeout_ms),
        memory_mb: config.memory_mb,
        min_scale: config.min_scale,
        max_scale: config.max_scale,
        max_concurrency: config.max_concurrency,
    })
}

/// Whole milliseconds, for logs.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
