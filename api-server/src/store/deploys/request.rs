//! Asking for a deploy.

use sqlx::{AnyConnection, Row as _};

use super::{ApplicationConfig, Deploy, DeployState, Program, Subject, place, require};
use crate::{
    secrets::Sealer,
    store::{
        Application, Kind, NamespaceRow, Store, StoreError, Tenant, new_id, now_ms,
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
    /// Asks for a deploy of what the application is now, a function's with the archive uploaded last. The newest
    /// wins: older ones end as superseded. The application is `pending` then.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`], [`StoreError::NothingUploaded`].
    pub async fn request_deploy<K: Kind>(
        &self,
        tenant: &Tenant,
        application_id: &str,
    ) -> Result<(Application<K>, Deploy), StoreError> {
        self.write("deploy.request", async |tx| {
            let application: Application<K> =
                require_writable(tx, &self.sealer, tenant, application_id).await?;
            let deploy = request(tx, &self.sealer, &application).await?;
            let application = tenant::require(tx, &self.sealer, tenant, application_id).await?;
            Ok((application, deploy))
        })
        .await
    }
}

/// The request itself, inside a transaction of the caller.
pub(in crate::store) async fn request<K: Kind>(
    tx: &mut AnyConnection,
    sealer: &Sealer,
    application: &Application<K>,
) -> Result<Deploy, StoreError> {
    let Subject { archive, repository, program } = K::subject(application)?;
    let namespace: NamespaceRow =
        tenant::require(tx, sealer, &application.tenant(), &application.namespace_id).await?;
    let id = new_id();
    let generation = last_generation(tx, &application.id).await? + 1;
    let cause = format!("superseded by deploy {id}");
    end_unfinished(tx, &application.id, &cause, Spare::Switching).await?;
    let environment = namespace.environment.overridden_by(&application.settings.environment);
    sqlx::query(
        "INSERT INTO deploys (id, application_id, generation, state, attempt, lease_until, config, environment,
            repository, archive_key, archive_bytes, archive_digest, nonce, created, updated)
         VALUES ($1, $2, $3, 'queued', 0, 0, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id.clone())
    .bind(application.id.clone())
    .bind(signed(generation))
    .bind(to_json(&snapshot(application, program)))
    .bind(sealer.seal_map(place(&id), &environment))
    .bind(repository)
    .bind(archive.as_ref().map(|archive| archive.key.clone()))
    .bind(archive.as_ref().map(|archive| signed(archive.bytes)))
    .bind(archive.as_ref().map(|archive| archive.digest.clone()))
    .bind(new_id())
    .bind(now_ms())
    .bind(now_ms())
    .execute(&mut *tx)
    .await?;
    open_step(tx, &id, 0, DeployState::Queued).await?;
    sqlx::query("UPDATE applications SET state = 'pending', error_message = '', updated = $1 WHERE id = $2")
        .bind(now_ms())
        .bind(application.id.clone())
        .execute(&mut *tx)
        .await?;
    require(tx, &id).await
}

/// Ends the application's unfinished deploys in `error` and removes their revisions.
pub(in crate::store) async fn end_unfinished(
    tx: &mut AnyConnection,
    application_id: &str,
    cause: &str,
    spare: Spare,
) -> Result<(), StoreError> {
    let spared = match spare {
        Spare::None => "",
        Spare::Switching => DeployState::Switching.name(),
    };
    let rows = sqlx::query(
        "SELECT id FROM deploys WHERE application_id = $1 AND state NOT IN ('ready', 'error') AND state <> $2",
    )
    .bind(application_id.to_owned())
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

async fn last_generation(tx: &mut AnyConnection, application_id: &str) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(MAX(generation), 0) AS generation FROM deploys WHERE application_id = $1",
    )
    .bind(application_id.to_owned())
    .fetch_one(tx)
    .await?;
    unsigned(&row, "generation")
}

fn snapshot<K: Kind>(application: &Application<K>, program: Program) -> ApplicationConfig {
    let settings = &application.settings;
    ApplicationConfig {
        name: application.name.clone(),
        namespace_id: application.namespace_id.clone(),
        memory_mb: settings.memory_mb,
        timeout_ms: settings.timeout_ms,
        min_scale: settings.min_scale,
        max_scale: settings.max_scale,
        max_concurrency: settings.max_concurrency,
        privacy: settings.privacy,
        program,
    }
}
