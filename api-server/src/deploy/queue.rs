//! Who takes deploys from the journal: woken by a request, and by a sweep that finds what a lost wake-up missed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use gateway::RouteState;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    LEASE, Platform, job,
    routes::{self, Routes},
};
use crate::{
    Deployments,
    store::{StoreError, deploys::DeployState, new_id},
};

/// Deploys of different functions at once. Most of them wait for their instance; what they do on the CPU has
/// places of its own ([`Platform::building`]).
const AT_ONCE: usize = 32;
/// A poke may be lost with the process that got it; the sweep finds the row.
const SWEEP: Duration = Duration::from_secs(1);

/// Runs the deploys of the journal. Cheap to clone.
#[derive(Clone)]
pub struct Deployer {
    pub(super) platform: Arc<Platform>,
    pub(super) routes: Arc<Routes>,
    wake: Arc<Notify>,
}

impl Deployer {
    /// Over a platform; nothing happens until [`Deployer::run`].
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        let routes = Arc::new(Routes::new(Arc::clone(&platform.gateway)));
        Self { platform: Arc::new(platform), routes, wake: Arc::new(Notify::new()) }
    }

    /// Claims and runs deploys, forever. Dropping it leaves them for the next start.
    pub async fn run(self) {
        let owner = new_id();
        // Dropped with this future, and all jobs with it.
        let mut jobs = JoinSet::new();
        loop {
            self.tell_queued().await;
            while jobs.try_join_next().is_some() {}
            if jobs.len() >= AT_ONCE {
                self.rest().await;
                continue;
            }
            match self.platform.store.claim_deploy(&owner, LEASE).await {
                Ok(Some(deploy)) => {
                    let platform = Arc::clone(&self.platform);
                    let (routes, wake) = (Arc::clone(&self.routes), Arc::clone(&self.wake));
                    jobs.spawn(async move {
                        job::run(&platform, &routes, deploy).await;
                        // A newer deploy of this function may have waited for this one.
                        wake.notify_one();
                    });
                }
                Ok(None) => {
                    self.rest().await;
                }
                Err(error) => {
                    tracing::error!(%error, "the journal of deploys could not be read");
                    tokio::time::sleep(SWEEP).await;
                }
            }
        }
    }

    /// Until a deploy was requested or has ended, or the next sweep. Cancel-safe: a permit of `notify_one` stays
    /// until it is taken.
    async fn rest(&self) {
        let _ = tokio::time::timeout(SWEEP, self.wake.notified()).await;
    }

    /// Deploys that wait for a place: callers are told that one is coming. Only this loop claims deploys, so none
    /// of these can end meanwhile.
    async fn tell_queued(&self) {
        let unfinished = self.platform.store.unfinished_deploys().await.unwrap_or_default();
        for deploy in unfinished.iter().filter(|deploy| deploy.state == DeployState::Queued) {
            self.routes.set(&deploy.application_id, RouteState::Deploying);
        }
    }

    /// For the start: frees the leases of a server that is gone, routes what is live, and tells the gateway about
    /// applications that have nothing live.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn restore(&self) -> Result<(), StoreError> {
        let platform = &self.platform;
        platform.store.release_leases().await?;
        let unfinished = platform.store.unfinished_deploys().await?;
        let deploying: HashSet<&str> =
            unfinished.iter().map(|deploy| deploy.application_id.as_str()).collect();
        for (id, state) in platform.store.all_applications().await? {
            let deploying = deploying.contains(id.as_str());
            self.routes.set(&id, routes::without_revision(state, deploying));
        }
        platform.store.each_live_revision(|revision| self.routes.restore(&revision)).await
    }
}

impl Deployments for Deployer {
    fn poke(&self) {
        self.wake.notify_one();
    }

    fn rescaled(&self, function_id: &str) {
        let platform = Arc::clone(&self.platform);
        let function_id = function_id.to_owned();
        tokio::spawn(async move {
            match platform.store.live_revision(&function_id).await {
                Ok(Some(revision)) => platform.gateway.rescale(job::routed(&revision)),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(application.id = %function_id, %error, "a new scale was not applied")
                }
            }
        });
    }

    fn removed(&self, function_id: &str) -> BoxFuture<'static, ()> {
        let (routes, usage) = (Arc::clone(&self.routes), Arc::clone(&self.platform.usage));
        let function_id = function_id.to_owned();
        Box::pin(async move {
            routes.remove(&function_id).await;
            // Its last requests belong to its organization too; afterwards nobody knows which that was.
            usage.keep().await;
        })
    }
}
