//! Application rows: reading, marking, writing, on any connection or transaction.

use contract::api::ApplicationStatus;
use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{Application, Fields, Kind, Settings};
use crate::{
    secrets::{Place, Sealer},
    store::{
        Archive, Held, Owned, StoreError, crons, deploys, now_ms,
        row::{name_of, named, optional_unsigned, sealed_map, signed, unsigned},
    },
};

impl<K: Kind> Owned for Application<K> {
    const KIND: &'static str = K::NAME;
    const TABLE: &'static str = "applications";
    const ALIAS: &'static str = "a";
    const OWNER: &'static str = "n";
    const COLUMNS: &'static str = "a.*, n.organization_id, n.region, r.slug";
    const FROM: &'static str = K::FROM;

    fn read(row: &AnyRow, sealer: &Sealer) -> Result<Self, StoreError> {
        let id: String = row.try_get("id")?;
        Ok(Self {
            settings: Settings {
                description: row.try_get("description")?,
                environment: sealed_map(row, sealer, place(&id))?,
                memory_mb: unsigned(row, "memory_mb")?,
                timeout_ms: unsigned(row, "timeout_ms")?,
                min_scale: unsigned(row, "min_scale")?,
                max_scale: unsigned(row, "max_scale")?,
                max_concurrency: optional_unsigned(row, "max_concurrency")?,
                privacy: named(row, "privacy")?,
            },
            id,
            namespace_id: row.try_get("namespace_id")?,
            organization_id: row.try_get("organization_id")?,
            region: row.try_get("region")?,
            slug: row.try_get("slug")?,
            name: row.try_get("name")?,
            state: named(row, "state")?,
            error_message: row.try_get("error_message")?,
            program: K::read(row)?,
            archive: Archive::of_row(row)?,
            live_revision: row.try_get("live_revision")?,
            last_version: unsigned(row, "last_version")?,
            created: row.try_get("created")?,
        })
    }

    fn held(&self) -> Option<Held> {
        match self.state {
            ApplicationStatus::Locked => Some(Held::Locked),
            ApplicationStatus::Deleting => Some(Held::Deleting),
            _ => None,
        }
    }
}

/// `deleting`, and no deploy of it goes on.
pub(in crate::store) async fn mark_deleting(tx: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    deploys::end_unfinished(tx, id, "it was deleted meanwhile", deploys::Spare::None).await?;
    crons::mark_deleting(tx, id).await?;
    sqlx::query("UPDATE applications SET state = 'deleting', updated = $1 WHERE id = $2")
        .bind(now_ms())
        .bind(id.to_owned())
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn set_fields<K: Kind>(
    tx: &mut AnyConnection,
    sealer: &Sealer,
    id: &str,
    fields: &Fields<K>,
) -> Result<(), StoreError> {
    let (settings, own) = (&fields.settings, fields.program.columns());
    sqlx::query(
        "UPDATE applications SET description = $1, environment = $2, memory_mb = $3, timeout_ms = $4,
            min_scale = $5, max_scale = $6, max_concurrency = $7, privacy = $8, updated = $9,
            runtime = $10, handler = $11, registry_image = $12
         WHERE id = $13",
    )
    .bind(settings.description.clone())
    .bind(sealer.seal_map(place(id), &settings.environment))
    .bind(i64::from(settings.memory_mb))
    .bind(signed(settings.timeout_ms))
    .bind(i64::from(settings.min_scale))
    .bind(i64::from(settings.max_scale))
    .bind(settings.max_concurrency.map(i64::from))
    .bind(name_of(&settings.privacy))
    .bind(now_ms())
    .bind(own.runtime.to_owned())
    .bind(own.handler.to_owned())
    .bind(own.registry_image.map(str::to_owned))
    .bind(id.to_owned())
    .execute(tx)
    .await?;
    Ok(())
}

/// The table's name when the first values were sealed for it: they open under no other.
fn place(id: &str) -> Place<'_> {
    Place { table: "functions", column: "environment", row: id }
}
