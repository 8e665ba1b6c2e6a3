//! Asking for a deploy.

use sqlx::{AnyConnection, Row as _};

use super::{Deploy, DeployState, FunctionConfig, place, require};
use crate::{
    secrets::Sealer,
    slug,
    store::{
        FunctionRow, NamespaceRow, Store, StoreError, Tenant, new_id, now_ms,
        row::{signed, storable, to_json, unsigned},
        tenant::{self, require_writable},
    },
};

/// Which unfinished deploys a newer event leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Spare {
    /// None.
    None,
    /// One that is `switching`: callers may be served by it already.
    Switching,
}

impl Store {
    /// Asks for a deploy of what the function is now, with the archive uploaded last. The newest wins: older ones
    /// end as superseded. The function is `pending` then.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`], [`StoreError::NothingUploaded`].
    pub async fn request_deploy(
        &self,
        tenant: &Tenant,
        function_id: &str,
    ) -> Result<(FunctionRow, Deploy), StoreError> {
        self.write("deploy.request", async |tx| {
            let function: FunctionRow = require_writable(tx, &self.sealer, tenant, function_id).await?;
            let deploy = request(tx, &self.sealer, &function).await?;
            let function = tenant::require(tx, &self.sealer, tenant, function_id).await?;
            Ok((function, deploy))
        })
        .await
    }
}

/// The request itself, inside a transaction of the caller.
pub(in crate::store) async fn request(
    tx: &mut AnyConnection,
    sealer: &Sealer,
    function: &FunctionRow,
) -> Result<Deploy, StoreError> {
    let Some(archive) = &function.archive else {
        return Err(StoreError::NothingUploaded(function.id.clone()));
    };
    let namespace: NamespaceRow =
        tenant::require(tx, sealer, &function.tenant(), &function.namespace_id).await?;
    let id = new_id();
    let generation = last_generation(tx, &function.id).await? + 1;
    let cause = format!("superseded by deploy {id}");
    end_unfinished(tx, &function.id, &cause, Spare::Switching).await?;
    let environment = namespace.environment.overridden_by(&function.environment);
    sqlx::query(
        "INSERT INTO deploys (id, function_id, generation, state, attempt, lease_until, config, environment,
            repository, archive_key, archive_bytes, archive_digest, nonce, created, updated)
         VALUES ($1, $2, $3, 'queued', 0, 0, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id.clone())
    .bind(function.id.clone())
    .bind(signed(generation))
    .bind(to_json(&snapshot(function)))
    .bind(sealer.seal_map(place(&id), &environment))
    .bind(slug::repository(&namespace.slug, &function.name, &function.id))
    .bind(archive.key.clone())
    .bind(signed(archive.bytes))
    .bind(archive.digest.clone())
    .bind(new_id())
    .bind(now_ms())
    .bind(now_ms())
    .execute(&mut *tx)
    .await?;
    open_step(tx, &id, 0, DeployState::Queued).await?;
    sqlx::query("UPDATE functions SET state = 'pending', error_message = '', updated = $1 WHERE id = $2")
        .bind(now_ms())
        .bind(function.id.clone())
        .execute(&mut *tx)
        .await?;
    require(tx, &id).await
}

/// Ends the function's unfinished deploys in `error` and removes their revisions.
pub(in crate::store) async fn end_unfinished(
    tx: &mut AnyConnection,
    function_id: &str,
    cause: &str,
    spare: Spare,
) -> Result<(), StoreError> {
    let spared = match spare {
        Spare::None => "",
        Spare::Switching => DeployState::Switching.name(),
    };
    let rows = sqlx::query(
        "SELECT id FROM deploys WHERE function_id = $1 AND state NOT IN ('ready', 'error') AND state <> $2",
    )
    .bind(function_id.to_owned())
    .bind(spared)
    .fetch_all(&mut *tx)
    .await?;
    for row in rows {
        end_in_error(tx, &row.try_get::<String, _>("id")?, cause).await?;
    }
    Ok(())
}

/// `error` with its cause; the step that goes on ends with it, and the revision that never served goes.
pub(super) async fn end_in_error(tx: &mut AnyConnection, id: &str, cause: &str) -> Result<(), StoreError> {
    close_step(tx, id, cause).await?;
    sqlx::query("DELETE FROM revisions WHERE id IN (SELECT revision_id FROM deploys WHERE id = $1)")
        .bind(id.to_owned())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE deploys SET state = 'error', error = $1, revision_id = NULL, lease_owner = NULL, updated = $2
         WHERE id = $3",
    )
    .bind(storable(cause))
    .bind(now_ms())
    .bind(id.to_owned())
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn open_step(
    tx: &mut AnyConnection,
    id: &str,
    attempt: u32,
    step: DeployState,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO deploy_steps (deploy_id, attempt, step, started) VALUES ($1, $2, $3, $4)")
        .bind(id.to_owned())
        .bind(i64::from(attempt))
        .bind(step.name())
        .bind(now_ms())
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn close_step(tx: &mut AnyConnection, id: &str, outcome: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE deploy_steps SET ended = $1, outcome = $2 WHERE deploy_id = $3 AND ended IS NULL")
        .bind(now_ms())
        .bind(storable(outcome))
        .bind(id.to_owned())
        .execute(tx)
        .await?;
    Ok(())
}

async fn last_generation(tx: &mut AnyConnection, function_id: &str) -> Result<u64, StoreError> {
    let row =
        sqlx::query("SELECT COALESCE(MAX(generation), 0) AS generation FROM deploys WHERE function_id = $1")
            .bind(function_id.to_owned())
            .fetch_one(tx)
            .await?;
    unsigned(&row, "generation")
}

fn snapshot(function: &FunctionRow) -> FunctionConfig {
    FunctionConfig {
        name: function.name.clone(),
        namespace_id: function.namespace_id.clone(),
        runtime: function.runtime.clone(),
        handler: function.handler.clone(),
        memory_mb: function.memory_mb,
        timeout_ms: function.timeout_ms,
        min_scale: function.min_scale,
        max_scale: function.max_scale,
        max_concurrency: function.max_concurrency,
        privacy: function.privacy,
    }
}
