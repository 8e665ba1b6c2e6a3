//! Runs of crons: a tick is written down before it is acted on, so that it is acted on at most once.
//!
//! ```text
//!  tick ─▶ running ─▶ succeeded | failed     answered, or given up (the caller of the cron)
//!    │        └─────▶ unknown                the server ended meanwhile (the next start), or could not write it down
//!    └───▶ skipped                           the call before it still ran
//! ```

use contract::api::{CronRunState, Privacy};
use serde_json::{Map, Value};
use sqlx::{AnyConnection, Row as _};

use super::super::{
    Store, StoreError,
    row::{json, name_of, signed, storable, unsigned},
};
use crate::store::revisions;

/// Runs that are kept of a cron.
const KEPT: i64 = 100;
/// Longest error message that is kept, in characters.
const LONGEST_MESSAGE: usize = 500;

/// An instant of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// The cron.
    pub cron_id: String,
    /// The schedule that it is of.
    pub schedule: String,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
}

/// What is to be done about a tick.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// The call is written down as running: send it.
    Run(Call),
    /// Another call of the cron still runs.
    Skipped,
    /// Nothing: the cron has gone or ticks otherwise now, or this tick was there before.
    Nothing,
}

/// What to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The cron.
    pub cron_id: String,
    /// The instant of the schedule, in milliseconds since the Unix epoch.
    pub tick: i64,
    /// The application that is called.
    pub application_id: String,
    /// Its namespace.
    pub namespace_id: String,
    /// Whether it wants a token.
    pub is_private: bool,
    /// Its time limit, in milliseconds.
    pub timeout_ms: u64,
    /// The body.
    pub args: Map<String, Value>,
    /// `X-Request-Id`.
    pub request_id: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// `succeeded` or `failed`.
    pub state: CronRunState,
    /// HTTP status, if it was answered.
    pub status_code: Option<u16>,
    /// Why it failed, else empty.
    pub error_message: String,
}

impl Store {
    /// Writes down that a tick is acted on, `now`, unless it was before. A call counts as running until its time limit
    /// and `allowance` (both in milliseconds) are over. May be repeated with the same `request_id` by whoever
    /// does not know what came of it: his own run is not one from before.
    ///
    /// # Errors
    /// [`StoreError::Database`]: then nothing may be sent.
    pub async fn start_run(
        &self,
        tick: &Tick,
        now: i64,
        allowance: i64,
        request_id: &str,
    ) -> Result<Start, StoreError> {
        self.write("cron.start", async |tx| {
            let Some(call) = due(tx, tick, request_id).await? else { return Ok(Start::Nothing) };
            if is_written(tx, tick, request_id).await? {
                return Ok(Start::Run(call));
            }
            let runs = is_running(tx, &tick.cron_id, now).await?;
            let (state, remember) = if runs {
                ("skipped", "UPDATE crons SET last_skipped = $1 WHERE id = $2")
            } else {
                ("running", "UPDATE crons SET last_run = $1 WHERE id = $2")
            };
            let until = now.saturating_add(signed(call.timeout_ms)).saturating_add(allowance);
            insert(tx, &call, state, now, until).await?;
            sqlx::query(remember).bind(tick.at).bind(tick.cron_id.clone()).execute(&mut *tx).await?;
            forget_old(tx, &tick.cron_id).await?;
            Ok(if runs { Start::Skipped } else { Start::Run(call) })
        })
        .await
    }

    /// Writes down how a running call ended, `now`. Does nothing when the cron has gone.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn finish_run(&self, call: &Call, end: &End, now: i64) -> Result<(), StoreError> {
        let message: String = storable(&end.error_message).chars().take(LONGEST_MESSAGE).collect();
        self.write("cron.finish", async |tx| {
            sqlx::query(
                "UPDATE cron_runs SET state = $1, ended = $2, status_code = $3, error_message = $4
                 WHERE cron_id = $5 AND tick = $6 AND state = 'running'",
            )
            .bind(name_of(&end.state))
            .bind(now)
            .bind(end.status_code.map(i64::from))
            .bind(message.clone())
            .bind(call.cron_id.clone())
            .bind(call.tick)
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
    }

    /// For the start: of calls that a server that is gone left running nobody knows what came. How many there were.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn recover_runs(&self) -> Result<u64, StoreError> {
        self.write("cron.recover", async |tx| {
            let unknown = sqlx::query("UPDATE cron_runs SET state = 'unknown' WHERE state = 'running'");
            Ok(unknown.execute(tx).await?.rows_affected())
        })
        .await
    }
}

/// The call of a tick that is still to come, if the cron bears one.
async fn due(tx: &mut AnyConnection, tick: &Tick, request_id: &str) -> Result<Option<Call>, StoreError> {
    let row = sqlx::query(
        "SELECT c.*, a.timeout_ms, a.live_revision FROM crons c
         JOIN applications a ON a.id = c.application_id
         WHERE c.id = $1 AND c.schedule = $2 AND c.state = 'ready'
             AND (c.last_run IS NULL OR c.last_run < $3 OR EXISTS (SELECT 1 FROM cron_runs r
                 WHERE r.cron_id = c.id AND r.tick = $4 AND r.request_id = $5 AND r.state = 'running'))
             AND (c.last_skipped IS NULL OR c.last_skipped < $6)",
    )
    .bind(tick.cron_id.clone())
    .bind(tick.schedule.clone())
    .bind(tick.at)
    .bind(tick.at)
    .bind(request_id.to_owned())
    .bind(tick.at)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    // What is live counts, not what the next deploy makes of it.
    let (timeout_ms, is_private) = match row.try_get::<Option<String>, _>("live_revision")? {
        Some(id) => {
            let config = revisions::require(tx, &id).await?.config;
            (config.timeout_ms, config.privacy == Privacy::Private)
        }
        None => (unsigned(&row, "timeout_ms")?, false),
    };
    Ok(Some(Call {
        cron_id: tick.cron_id.clone(),
        tick: tick.at,
        application_id: row.try_get("application_id")?,
        namespace_id: row.try_get("namespace_id")?,
        is_private,
        timeout_ms,
        args: json(&row, "args")?,
        request_id: request_id.to_owned(),
    }))
}

/// Whether the tick's run of this request is there already.
async fn is_written(tx: &mut AnyConnection, tick: &Tick, request_id: &str) -> Result<bool, StoreError> {
    let own = sqlx::query("SELECT tick FROM cron_runs WHERE cron_id = $1 AND tick = $2 AND request_id = $3")
        .bind(tick.cron_id.clone())
        .bind(tick.at)
        .bind(request_id.to_owned())
        .fetch_optional(tx)
        .await?;
    Ok(own.is_some())
}

/// Whether a call of the cron goes on. One that should have ended long ago does not: its end was not written down.
async fn is_running(tx: &mut AnyConnection, cron_id: &str, now: i64) -> Result<bool, StoreError> {
    sqlx::query(
        "UPDATE cron_runs SET state = 'unknown' WHERE cron_id = $1 AND state = 'running' AND deadline < $2",
    )
    .bind(cron_id.to_owned())
    .bind(now)
    .execute(&mut *tx)
    .await?;
    let running = sqlx::query("SELECT tick FROM cron_runs WHERE cron_id = $1 AND state = 'running'")
        .bind(cron_id.to_owned())
        .fetch_optional(tx)
        .await?;
    Ok(running.is_some())
}

async fn insert(
    tx: &mut AnyConnection,
    call: &Call,
    state: &str,
    now: i64,
    until: i64,
) -> Result<(), StoreError> {
    let ended = (state == "skipped").then_some(now);
    sqlx::query(
        "INSERT INTO cron_runs (cron_id, tick, state, started, deadline, ended, request_id, error_message)
         VALUES ($1, $2, $3, $4, $5, $6, $7, '')",
    )
    .bind(call.cron_id.clone())
    .bind(call.tick)
    .bind(state.to_owned())
    .bind(now)
    .bind(until)
    .bind(ended)
    .bind(call.request_id.clone())
    .execute(tx)
    .await?;
    Ok(())
}

/// Only the last [`KEPT`] runs stay, and the last call however many ticks were skipped since.
async fn forget_old(tx: &mut AnyConnection, cron_id: &str) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM cron_runs WHERE cron_id = $1 AND state <> 'running'
             AND tick <> (SELECT COALESCE(last_run, 0) FROM crons WHERE id = $2)
             AND tick NOT IN (SELECT tick FROM cron_runs WHERE cron_id = $3 ORDER BY tick DESC LIMIT $4)",
    )
    .bind(cron_id.to_owned())
    .bind(cron_id.to_owned())
    .bind(cron_id.to_owned())
    .bind(KEPT)
    .execute(tx)
    .await?;
    Ok(())
}
