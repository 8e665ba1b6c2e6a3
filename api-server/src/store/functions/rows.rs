//! Function rows: reading, marking, writing, on any connection or transaction.

use contract::api::FunctionStatus;
use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{FunctionRow, FunctionUpdate};
use crate::{
    secrets::{Place, Sealer},
    store::{
        Archive, Held, Owned, StoreError, deploys, now_ms,
        row::{name_of, named, optional_unsigned, signed, unsigned},
    },
};

impl Owned for FunctionRow {
    const KIND: &'static str = "function";
    const TABLE: &'static str = "functions";
    const ALIAS: &'static str = "f";
    const OWNER: &'static str = "n";
    const COLUMNS: &'static str = "f.*, n.organization_id, n.region, r.slug";
    const FROM: &'static str = "functions f JOIN namespaces n ON n.id = f.namespace_id
        JOIN registry_namespaces r ON r.id = n.registry_namespace_id";

    fn read(row: &AnyRow, sealer: &Sealer) -> Result<Self, StoreError> {
        let id: String = row.try_get("id")?;
        let sealed: Vec<u8> = row.try_get("environment")?;
        Ok(Self {
            environment: sealer.open_map(place(&id), &sealed)?,
            id,
            namespace_id: row.try_get("namespace_id")?,
            organization_id: row.try_get("organization_id")?,
            region: row.try_get("region")?,
            slug: row.try_get("slug")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            state: named(row, "state")?,
            error_message: row.try_get("error_message")?,
            runtime: row.try_get("runtime")?,
            handler: row.try_get("handler")?,
            memory_mb: unsigned(row, "memory_mb")?,
            timeout_ms: unsigned(row, "timeout_ms")?,
            min_scale: unsigned(row, "min_scale")?,
            max_scale: unsigned(row, "max_scale")?,
            max_concurrency: optional_unsigned(row, "max_concurrency")?,
            privacy: named(row, "privacy")?,
            archive: Archive::of_row(row)?,
            live_revision: row.try_get("live_revision")?,
            last_version: unsigned(row, "last_version")?,
            created: row.try_get("created")?,
        })
    }

    fn held(&self) -> Option<Held> {
        match self.state {
            FunctionStatus::Locked => Some(Held::Locked),
            FunctionStatus::Deleting => Some(Held::Deleting),
            _ => None,
        }
    }
}

/// `deleting`, and no deploy of it goes on.
pub(in crate::store) async fn mark_deleting(tx: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    deploys::end_unfinished(tx, id, "the function was deleted", deploys::Spare::None).await?;
    sqlx::query("UPDATE functions SET state = 'deleting', updated = $1 WHERE id = $2")
        .bind(now_ms())
        .bind(id.to_owned())
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn set_fields(
    tx: &mut AnyConnection,
    sealer: &Sealer,
    id: &str,
    fields: &FunctionUpdate,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE functions SET description = $1, environment = $2, runtime = $3, handler = $4, memory_mb = $5,
            timeout_ms = $6, min_scale = $7, max_scale = $8, max_concurrency = $9, privacy = $10, updated = $11
         WHERE id = $12",
    )
    .bind(fields.description.clone())
    .bind(sealer.seal_map(place(id), &fields.environment))
    .bind(fields.runtime.clone())
    .bind(fields.handler.clone())
    .bind(i64::from(fields.memory_mb))
    .bind(signed(fields.timeout_ms))
    .bind(i64::from(fields.min_scale))
    .bind(i64::from(fields.max_scale))
    .bind(fields.max_concurrency.map(i64::from))
    .bind(name_of(&fields.privacy))
    .bind(now_ms())
    .bind(id.to_owned())
    .execute(tx)
    .await?;
    Ok(())
}

fn place(id: &str) -> Place<'_> {
    Place { table: "functions", column: "environment", row: id }
}
