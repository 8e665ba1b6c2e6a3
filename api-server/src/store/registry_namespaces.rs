//! Registry namespaces: the first component of every repository, and who owns it. They outlive their namespace.

use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{Held, Owned, Store, StoreError, Tenant, new_id, now_ms};
use crate::{
    secrets::Sealer,
    slug::{short, slug},
};

/// Repositories below this name are the server's own (base images).
const RESERVED: &[&str] = &["base"];

/// A registry namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryNamespaceRow {
    /// UUID v4.
    pub id: String,
    /// Owner.
    pub organization_id: String,
    /// Region.
    pub region: String,
    /// First component of its repositories.
    pub slug: String,
}

impl Owned for RegistryNamespaceRow {
    const KIND: &'static str = "registry_namespace";
    const TABLE: &'static str = "registry_namespaces";
    const ALIAS: &'static str = "r";
    const OWNER: &'static str = "r";
    const COLUMNS: &'static str = "r.id, r.organization_id, r.region, r.slug";
    const FROM: &'static str = "registry_namespaces r";

    fn read(row: &AnyRow, _: &Sealer) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.try_get("id")?,
            organization_id: row.try_get("organization_id")?,
            region: row.try_get("region")?,
            slug: row.try_get("slug")?,
        })
    }

    fn held(&self) -> Option<Held> {
        None
    }
}

impl Store {
    /// Whether the organization owns the repositories below this first component.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn owns_slug(&self, organization_id: &str, slug: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT id FROM registry_namespaces WHERE slug = $1 AND organization_id = $2")
            .bind(slug.to_owned())
            .bind(organization_id.to_owned())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }
}

/// The registry namespace for a new namespace of this name: one that an earlier namespace of the same name left
/// behind, so its owner finds the images again, else a new one. Answers its id.
pub(super) async fn adopt_or_create(
    tx: &mut AnyConnection,
    tenant: &Tenant,
    namespace_id: &str,
    name: &str,
) -> Result<String, StoreError> {
    let plain = slug(name);
    let own = format!("{plain}-{}", short(namespace_id));
    if let Some(id) = left_behind(tx, tenant, &plain).await? {
        return Ok(id);
    }
    let taken = RESERVED.contains(&plain.as_str())
        || sqlx::query("SELECT id FROM registry_namespaces WHERE slug = $1")
            .bind(plain.clone())
            .fetch_optional(&mut *tx)
            .await?
            .is_some();
    let chosen = if taken { own } else { plain };
    let id = new_id();
    sqlx::query(
        "INSERT INTO registry_namespaces (id, organization_id, region, slug, created) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id.clone())
    .bind(tenant.organization_id.clone())
    .bind(tenant.region.clone())
    .bind(chosen)
    .bind(now_ms())
    .execute(&mut *tx)
    .await?;
    Ok(id)
}

async fn left_behind(
    tx: &mut AnyConnection,
    tenant: &Tenant,
    slug: &str,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query(
        "SELECT id FROM registry_namespaces r
         WHERE slug = $1 AND organization_id = $2 AND region = $3
         AND NOT EXISTS (SELECT 1 FROM namespaces n WHERE n.registry_namespace_id = r.id)",
    )
    .bind(slug.to_owned())
    .bind(tenant.organization_id.clone())
    .bind(tenant.region.clone())
    .fetch_optional(tx)
    .await?;
    row.map(|row| row.try_get("id").map_err(StoreError::from)).transpose()
}
