//! What applications used, a row a day (UTC) and application. Numbers are only ever added, and stay when the
//! application goes.

use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{
    Held, Owned, Store, StoreError, new_id,
    row::{signed, unsigned},
};
use crate::secrets::Sealer;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Numbers to add, of one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDelta {
    /// The function or container.
    pub application_id: String,
    /// When the day began, in milliseconds since the Unix epoch.
    pub day: i64,
    /// The numbers.
    pub used: gateway::Usage,
}

/// One day of one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The function or container; it may be gone.
    pub application_id: String,
    /// Where it lies or lay.
    pub namespace_id: String,
    /// `function` or `container`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// When the day began, in milliseconds since the Unix epoch.
    pub day: i64,
    /// The numbers.
    pub used: gateway::Usage,
}

impl Store {
    /// Adds numbers, all of them or none. What belongs to no application that is known, or was on that day, is left
    /// out; the answer is how many these were.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_usage(&self, deltas: &[UsageDelta]) -> Result<usize, StoreError> {
        self.write("usage.add", async |tx| {
            let mut unknown = 0;
            for delta in deltas {
                if !add_to_row(tx, delta).await? && !insert(tx, delta).await? {
                    unknown += 1;
                }
            }
            Ok(unknown)
        })
        .await
    }
}

async fn add_to_row(tx: &mut AnyConnection, delta: &UsageDelta) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE usage_days SET invocations = invocations + $1, errors = errors + $2,
            cold_starts = cold_starts + $3, duration_ms = duration_ms + $4, memory_mb_ms = memory_mb_ms + $5
         WHERE application_id = $6 AND created = $7",
    )
    .bind(signed(delta.used.invocations))
    .bind(signed(delta.used.errors))
    .bind(signed(delta.used.cold_starts))
    .bind(signed(delta.used.duration_ms))
    .bind(signed(delta.used.memory_mb_ms))
    .bind(delta.application_id.clone())
    .bind(delta.day)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The day's first numbers; whose they are is written beside them.
async fn insert(tx: &mut AnyConnection, delta: &UsageDelta) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO usage_days (id, application_id, organization_id, region, namespace_id, kind, name,
            invocations, errors, cold_starts, duration_ms, memory_mb_ms, created)
         SELECT $1, a.id, n.organization_id, n.region, n.id, a.kind, a.name,
            CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT),
            CAST($7 AS BIGINT)
         FROM applications a JOIN namespaces n ON n.id = a.namespace_id WHERE a.id = $8",
    )
    .bind(new_id())
    .bind(signed(delta.used.invocations))
    .bind(signed(delta.used.errors))
    .bind(signed(delta.used.cold_starts))
    .bind(signed(delta.used.duration_ms))
    .bind(signed(delta.used.memory_mb_ms))
    .bind(delta.day)
    .bind(delta.application_id.clone())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

impl Owned for UsageRow {
    const KIND: &'static str = "usage";
    const TABLE: &'static str = "usage_days";
    const ALIAS: &'static str = "u";
    const OWNER: &'static str = "u";
    const COLUMNS: &'static str = "u.*";
    const FROM: &'static str = "usage_days u";

    fn read(row: &AnyRow, _: &Sealer) -> Result<Self, StoreError> {
        Ok(Self {
            application_id: row.try_get("application_id")?,
            namespace_id: row.try_get("namespace_id")?,
            kind: row.try_get("kind")?,
            name: row.try_get("name")?,
            day: row.try_get("created")?,
            used: gateway::Usage {
                invocations: unsigned(row, "invocations")?,
                errors: unsigned(row, "errors")?,
                cold_starts: unsigned(row, "cold_starts")?,
                duration_ms: unsigned(row, "duration_ms")?,
                memory_mb_ms: unsigned(row, "memory_mb_ms")?,
            },
        })
    }

    fn held(&self) -> Option<Held> {
        None
    }
}
