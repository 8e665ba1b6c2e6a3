//! What an operator locks beside a running server is locked in the gateway within a second, and unlocked likewise.

use std::{collections::HashSet, time::Duration};

use contract::api::ApplicationStatus;

use super::{Deployer, routes::without_revision};
use crate::store::StoreError;

const PERIOD: Duration = Duration::from_secs(1);

impl Deployer {
    /// Looks for locks, forever.
    pub async fn watch_locks(self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            if let Err(error) = self.apply_locks().await {
                tracing::warn!(%error, "locks could not be read");
            }
        }
    }

    async fn apply_locks(&self) -> Result<(), StoreError> {
        let locked: HashSet<String> = self.platform.store.locked_applications().await?.into_iter().collect();
        for id in self.routes.lock(&locked) {
            tracing::info!(application.id = %id, "locked by an operator");
        }
        for id in self.routes.not_locked_in(&locked) {
            let Some(state) = self.platform.store.application_state(&id).await? else { continue };
            // Locked again since.
            if state != ApplicationStatus::Locked {
                self.routes.unlock(&id, without_revision(state, state == ApplicationStatus::Pending));
                tracing::info!(application.id = %id, "unlocked by an operator");
            }
        }
        Ok(())
    }
}
