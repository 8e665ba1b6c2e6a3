//! Crons. A cron is `ready` until it or its application is deleted. Its runs are in [`runs`].

mod runs;

use contract::api::{CronRunState, CronStatus};
use serde_json::{Map, Value};
use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{
    ContainerRow, FunctionRow, Held, Owned, Store, StoreError, Tenant, now_ms,
    row::{json, name_of, named, optional_unsigned, to_json},
    tenant::{require, require_room, require_writable, stamp},
};
use crate::secrets::Sealer;

pub use runs::{Call, End, Start, Tick};

/// A cron as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct CronRow {
    /// UUID v4.
    pub id: String,
    /// What it calls.
    pub application_id: String,
    /// As it was given.
    pub schedule: String,
    /// Body of its calls.
    pub args: Map<String, Value>,
    /// State.
    pub state: CronStatus,
    /// Its last call.
    pub last_run: Option<Run>,
    /// The last tick without a call because the one before still ran, in milliseconds since the Unix epoch.
    pub last_skipped: Option<i64>,
}

/// A call. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The instant of the schedule.
    pub tick: i64,
    /// What came of it.
    pub state: CronRunState,
    /// When it began.
    pub started: i64,
    /// When it ended, if that is known.
    pub ended: Option<i64>,
    /// HTTP status, if it was answered.
    pub status_code: Option<u16>,
    /// `X-Request-Id` of the call.
    pub request_id: String,
    /// Why it failed, else empty.
    pub error_message: String,
}

/// What a new cron needs; the schedule is checked by the caller.
#[derive(Debug, Clone)]
pub struct NewCron {
    /// UUID v4.
    pub id: String,
    /// What it calls.
    pub application_id: String,
    /// When it ticks.
    pub schedule: String,
    /// Body of its calls.
    pub args: Map<String, Value>,
}

/// What a PATCH says; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct CronChange {
    /// What it calls.
    pub application_id: Option<String>,
    /// When it ticks.
    pub schedule: Option<String>,
    /// Body of its calls.
    pub args: Option<Map<String, Value>>,
}

impl Store {
    /// A new cron; the tenant may have `quota` of them.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for the application, [`StoreError::Transient`] and [`StoreError::Locked`] by its state,
    /// [`StoreError::Quota`].
    pub async fn create_cron(
        &self,
        tenant: &Tenant,
        new: NewCron,
        quota: u64,
    ) -> Result<CronRow, StoreError> {
        self.write("cron.create", async |tx| {
            let namespace_id = namespace_of(tx, &self.sealer, tenant, &new.application_id).await?;
            require_room::<CronRow>(tx, tenant, quota).await?;
            let created = stamp::<CronRow>(tx).await?;
            sqlx::query(
                "INSERT INTO crons (id, namespace_id, application_id, schedule, args, state, created, updated)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(new.id.clone())
            .bind(namespace_id)
            .bind(new.application_id.clone())
            .bind(new.schedule.clone())
            .bind(to_json(&new.args))
            .bind(name_of(&CronStatus::Ready))
            .bind(created)
            .bind(created)
            .execute(&mut *tx)
            .await?;
            require(tx, &self.sealer, tenant, &new.id).await
        })
        .await
    }

    /// Changes a cron.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for it or the application, [`StoreError::Transient`] and [`StoreError::Locked`] by the
    /// state of either.
    pub async fn update_cron(
        &self,
        tenant: &Tenant,
        id: &str,
        change: CronChange,
    ) -> Result<CronRow, StoreError> {
        self.write("cron.update", async |tx| {
            let row: CronRow = require_writable(tx, &self.sealer, tenant, id).await?;
            let application_id = change.application_id.clone().unwrap_or(row.application_id);
            let namespace_id = namespace_of(tx, &self.sealer, tenant, &application_id).await?;
            sqlx::query(
                "UPDATE crons SET namespace_id = $1, application_id = $2, schedule = $3, args = $4, updated = $5
                 WHERE id = $6",
            )
            .bind(namespace_id)
            .bind(application_id)
            .bind(change.schedule.clone().unwrap_or(row.schedule))
            .bind(to_json(change.args.as_ref().unwrap_or(&row.args)))
            .bind(now_ms())
            .bind(id.to_owned())
            .execute(&mut *tx)
            .await?;
            require(tx, &self.sealer, tenant, id).await
        })
        .await
    }

    /// Removes a cron; answers it as it was, `deleting`. A call that runs is not broken off.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`].
    pub async fn delete_cron(&self, tenant: &Tenant, id: &str) -> Result<CronRow, StoreError> {
        self.write("cron.delete", async |tx| {
            let row: CronRow = require_writable(tx, &self.sealer, tenant, id).await?;
            for statement in ["DELETE FROM cron_runs WHERE cron_id = $1", "DELETE FROM crons WHERE id = $1"] {
                sqlx::query(statement).bind(id.to_owned()).execute(&mut *tx).await?;
            }
            Ok(CronRow { state: CronStatus::Deleting, ..row })
        })
        .await
    }

    /// Id and schedule of every cron that ticks, of all tenants: for the server's own needs, never for a caller.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn ready_crons(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query("SELECT id, schedule FROM crons WHERE state = 'ready'")
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("schedule")?))).collect()
    }
}

/// The namespace of an application to which crons may be added.
async fn namespace_of(
    tx: &mut AnyConnection,
    sealer: &Sealer,
    tenant: &Tenant,
    application_id: &str,
) -> Result<String, StoreError> {
    match require_writable::<FunctionRow>(tx, sealer, tenant, application_id).await {
        Ok(function) => Ok(function.namespace_id),
        Err(missing @ StoreError::Missing { .. }) => {
            match require_writable::<ContainerRow>(tx, sealer, tenant, application_id).await {
                Err(StoreError::Missing { .. }) => Err(missing),
                container => Ok(container?.namespace_id),
            }
        }
        Err(error) => Err(error),
    }
}

/// The crons of an application that is going tick no more.
pub(super) async fn mark_deleting(tx: &mut AnyConnection, application_id: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE crons SET state = 'deleting', updated = $1 WHERE application_id = $2")
        .bind(now_ms())
        .bind(application_id.to_owned())
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes the crons of an application, with their runs.
pub(super) async fn remove_of(tx: &mut AnyConnection, application_id: &str) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM cron_runs WHERE cron_id IN (SELECT id FROM crons WHERE application_id = $1)",
        "DELETE FROM crons WHERE application_id = $1",
    ] {
        sqlx::query(statement).bind(application_id.to_owned()).execute(&mut *tx).await?;
    }
    Ok(())
}

impl Owned for CronRow {
    const KIND: &'static str = "cron";
    const TABLE: &'static str = "crons";
    const ALIAS: &'static str = "c";
    const OWNER: &'static str = "n";
    const COLUMNS: &'static str = "c.*, r.state AS run_state, r.started AS run_started, r.ended AS run_ended,
        r.status_code AS run_status_code, r.request_id AS run_request_id, r.error_message AS run_error_message";
    const FROM: &'static str = "crons c JOIN namespaces n ON n.id = c.namespace_id
        LEFT JOIN cron_runs r ON r.cron_id = c.id AND r.tick = c.last_run";

    fn read(row: &AnyRow, _: &Sealer) -> Result<Self, StoreError> {
        let tick: Option<i64> = row.try_get("last_run")?;
        Ok(Self {
            id: row.try_get("id")?,
            application_id: row.try_get("application_id")?,
            schedule: row.try_get("schedule")?,
            args: json(row, "args")?,
            state: named(row, "state")?,
            last_run: tick.map(|tick| Run::read(row, tick)).transpose()?,
            last_skipped: row.try_get("last_skipped")?,
        })
    }

    fn held(&self) -> Option<Held> {
        match self.state {
            CronStatus::Locked => Some(Held::Locked),
            CronStatus::Deleting => Some(Held::Deleting),
            _ => None,
        }
    }
}

impl Run {
    fn read(row: &AnyRow, tick: i64) -> Result<Self, StoreError> {
        Ok(Self {
            tick,
            state: named(row, "run_state")?,
            started: row.try_get("run_started")?,
            ended: row.try_get("run_ended")?,
            status_code: optional_unsigned(row, "run_status_code")?,
            request_id: row.try_get("run_request_id")?,
            error_message: row.try_get("run_error_message")?,
        })
    }
}
