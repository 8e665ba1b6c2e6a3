//! Claiming a deploy, moving it on, ending it. Every write but the claim is guarded by `(id, attempt)`.

use std::time::Duration;

use sqlx::AnyConnection;

use super::{
    Deploy, DeployState, read,
    request::{close_step, end_in_error, open_step},
    require,
};
use crate::store::{
    Store, StoreError, now_ms,
    row::{signed, storable, unsigned},
};

impl Store {
    /// Ends all leases. For the start of the only server on this store: whoever held them is dead.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        self.write("deploy.release", async |tx| {
            sqlx::query(
                "UPDATE deploys SET lease_owner = NULL, lease_until = 0 WHERE lease_owner IS NOT NULL",
            )
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
    }

    /// Gives the oldest deploy that nobody is at to `owner` for `lease`; `None` when there is none. Deploys of one
    /// application go one after the other. It comes back in the state where this attempt begins.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn claim_deploy(&self, owner: &str, lease: Duration) -> Result<Option<Deploy>, StoreError> {
        // Looked at before the write, so that an idle server's sweep writes nothing.
        let mut reader = self.readers.acquire().await?;
        if claimable(&mut reader).await?.is_none() {
            return Ok(None);
        }
        drop(reader);
        self.write("deploy.claim", async |tx| {
            let Some(found) = claimable(tx).await? else { return Ok(None) };
            let attempt = found.attempt + 1;
            let state = found.state.resumes_at();
            sqlx::query(
                "UPDATE deploys SET lease_owner = $1, lease_until = $2, attempt = $3, state = $4, updated = $5
                 WHERE id = $6 AND attempt = $7",
            )
            .bind(owner.to_owned())
            .bind(until(lease))
            .bind(i64::from(attempt))
            .bind(state.name())
            .bind(now_ms())
            .bind(found.id.clone())
            .bind(i64::from(found.attempt))
            .execute(&mut *tx)
            .await?;
            if found.state != DeployState::Queued {
                close_step(tx, &found.id, "interrupted").await?;
                open_step(tx, &found.id, attempt, state).await?;
            }
            require(tx, &found.id).await.map(Some)
        })
        .await
    }

    /// Makes the lease longer.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the deploy went on without this attempt.
    pub async fn renew_lease(&self, deploy: &Deploy, lease: Duration) -> Result<(), StoreError> {
        self.write("deploy.renew", async |tx| {
            current(tx, deploy).await?;
            sqlx::query("UPDATE deploys SET lease_until = $1 WHERE id = $2")
                .bind(until(lease))
                .bind(deploy.id.clone())
                .execute(tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Moves a deploy to its next state and makes the lease longer; with `image_digest`, writes that down too.
    /// The end has its own writes ([`Store::deploy_ready`], [`Store::deploy_failed`]).
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] for an arrow that the diagram does not have, [`StoreError::Stale`] when the deploy
    /// went on without this attempt.
    pub async fn step_deploy(
        &self,
        deploy: &Deploy,
        to: DeployState,
        image_digest: Option<&str>,
        lease: Duration,
    ) -> Result<Deploy, StoreError> {
        let forbidden = |from: DeployState| StoreError::Forbidden { from: from.name(), to: to.name() };
        let name = write_of(to).ok_or_else(|| forbidden(deploy.state))?;
        self.write(name, async |tx| {
            let now = current(tx, deploy).await?;
            if !now.state.may_become(to) {
                return Err(forbidden(now.state));
            }
            close_step(tx, &deploy.id, "done").await?;
            open_step(tx, &deploy.id, deploy.attempt, to).await?;
            sqlx::query(
                "UPDATE deploys SET state = $1, image_digest = COALESCE($2, image_digest), lease_until = $3,
                    updated = $4 WHERE id = $5",
            )
            .bind(to.name())
            .bind(image_digest.map(str::to_owned))
            .bind(until(lease))
            .bind(now_ms())
            .bind(deploy.id.clone())
            .execute(&mut *tx)
            .await?;
            require(tx, &deploy.id).await
        })
        .await
    }

    /// The new revision serves: deploy `ready`, application `ready` with it as the live one, all in one write.
    /// Call it only after the probe came back.
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] when it is not `switching` or has no revision, [`StoreError::Stale`].
    pub async fn deploy_ready(&self, deploy: &Deploy) -> Result<(), StoreError> {
        self.write("deploy.finish", async |tx| {
            let now = current(tx, deploy).await?;
            let refused = StoreError::Forbidden { from: now.state.name(), to: DeployState::Ready.name() };
            let (true, Some(revision)) = (now.state.may_become(DeployState::Ready), now.revision_id.clone())
            else {
                return Err(refused);
            };
            let row = sqlx::query("SELECT version FROM revisions WHERE id = $1")
                .bind(revision.clone())
                .fetch_one(&mut *tx)
                .await?;
            let version: u64 = unsigned(&row, "version")?;
            close_step(tx, &deploy.id, "done").await?;
            sqlx::query("UPDATE deploys SET state = 'ready', lease_owner = NULL, updated = $1 WHERE id = $2")
                .bind(now_ms())
                .bind(deploy.id.clone())
                .execute(&mut *tx)
                .await?;
            sqlx::query("UPDATE applications SET live_revision = $1, last_version = $2 WHERE id = $3")
                .bind(revision)
                .bind(signed(version))
                .bind(deploy.application_id.clone())
                .execute(&mut *tx)
                .await?;
            settle(tx, deploy, DeployState::Ready.name(), "").await
        })
        .await
    }

    /// The deploy failed: deploy and application `error`, with the cause that the user reads. The live revision goes
    /// on serving.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the deploy went on without this attempt.
    pub async fn deploy_failed(&self, deploy: &Deploy, cause: &str) -> Result<(), StoreError> {
        self.write("deploy.finish", async |tx| {
            current(tx, deploy).await?;
            end_in_error(tx, &deploy.id, cause).await?;
            settle(tx, deploy, DeployState::Error.name(), cause).await
        })
        .await
    }
}

/// The write that enters a state. Each has a name of its own, so that a test can kill the server at each.
fn write_of(state: DeployState) -> Option<&'static str> {
    match state {
        DeployState::Fetching => Some("deploy.fetching"),
        DeployState::Building => Some("deploy.building"),
        DeployState::Pushing => Some("deploy.pushing"),
        DeployState::Verifying => Some("deploy.verifying"),
        DeployState::Switching => Some("deploy.switching"),
        DeployState::Queued | DeployState::Ready | DeployState::Error => None,
    }
}

/// The deploy as it is, when this attempt is still the one that counts.
pub(in crate::store) async fn current(tx: &mut AnyConnection, deploy: &Deploy) -> Result<Deploy, StoreError> {
    let now = require(tx, &deploy.id).await?;
    if now.attempt != deploy.attempt || now.state.is_finished() || now.lease_owner != deploy.lease_owner {
        return Err(StoreError::Stale { id: deploy.id.clone(), attempt: deploy.attempt });
    }
    Ok(now)
}

/// The application's state after its deploy's end; a newer deploy that waits keeps it `pending`.
async fn settle(tx: &mut AnyConnection, deploy: &Deploy, state: &str, cause: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE applications SET state = $1, error_message = $2, updated = $3 WHERE id = $4 AND state = 'pending'
         AND NOT EXISTS (SELECT 1 FROM deploys d WHERE d.application_id = applications.id
            AND d.state NOT IN ('ready', 'error'))",
    )
    .bind(state.to_owned())
    .bind(storable(cause))
    .bind(now_ms())
    .bind(deploy.application_id.clone())
    .execute(tx)
    .await?;
    Ok(())
}

async fn claimable(connection: &mut AnyConnection) -> Result<Option<Deploy>, StoreError> {
    let row = sqlx::query(
        "SELECT * FROM deploys d WHERE d.state NOT IN ('ready', 'error')
         AND (d.lease_owner IS NULL OR d.lease_until < $1)
         AND NOT EXISTS (SELECT 1 FROM deploys o WHERE o.application_id = d.application_id
            AND o.generation < d.generation AND o.state NOT IN ('ready', 'error'))
         ORDER BY d.created, d.id LIMIT 1",
    )
    .bind(now_ms())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read).transpose()
}

fn until(lease: Duration) -> i64 {
    now_ms().saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
}
