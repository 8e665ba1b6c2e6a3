//! Namespaces. A namespace is `creating` until its key pair is stored, then `ready`, then `deleting`, then gone.

use contract::api::NamespaceStatus;
use secrecy::SecretString;
use sqlx::{Row as _, any::AnyRow};

use super::{
    Held, Owned, Store, StoreError, Tenant, now_ms, registry_namespaces,
    row::{name_of, named, sealed_map, storable},
    tenant::{require, require_room, require_writable, stamp},
};
use crate::secrets::{Place, Sealer, SecretMap};

/// A namespace as stored, its variables opened.
#[derive(Debug, Clone)]
pub struct NamespaceRow {
    /// UUID v4.
    pub id: String,
    /// Owner.
    pub organization_id: String,
    /// Region.
    pub region: String,
    /// Unique in organization and region.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Set in every application of it.
    pub environment: SecretMap,
    /// State.
    pub state: NamespaceStatus,
    /// Cause of `error`, else empty.
    pub error_message: String,
    /// Its registry namespace.
    pub registry_namespace_id: String,
    /// First component of its repositories.
    pub slug: String,
    /// PKCS#1 PEM; `None` while `creating`.
    pub public_key: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub created: i64,
}

/// What a new namespace needs.
#[derive(Debug, Clone)]
pub struct NewNamespace {
    /// UUID v4.
    pub id: String,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Variables.
    pub environment: SecretMap,
}

impl Store {
    /// A namespace in state `creating`; the tenant may have `quota` of them.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken, [`StoreError::Quota`].
    pub async fn create_namespace(
        &self,
        tenant: &Tenant,
        new: NewNamespace,
        quota: u64,
    ) -> Result<NamespaceRow, StoreError> {
        self.write("namespace.create", async |tx| {
            require_room::<NamespaceRow>(tx, tenant, quota).await?;
            let place = place(&new.id);
            let created = stamp::<NamespaceRow>(tx).await?;
            let registry_id = registry_namespaces::adopt_or_create(tx, tenant, &new.id, &new.name).await?;
            sqlx::query(
                "INSERT INTO namespaces (id, organization_id, region, name, description, environment, state,
                    error_message, registry_namespace_id, created, updated)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $9, $10)",
            )
            .bind(new.id.clone())
            .bind(tenant.organization_id.clone())
            .bind(tenant.region.clone())
            .bind(new.name.clone())
            .bind(new.description.clone())
            .bind(self.sealer.seal_map(place, &new.environment))
            .bind(name_of(&NamespaceStatus::Creating))
            .bind(registry_id)
            .bind(created)
            .bind(created)
            .execute(&mut *tx)
            .await
            .map_err(|error| StoreError::or_duplicate(error, "namespace", &new.name))?;
            require(tx, &self.sealer, tenant, &new.id).await
        })
        .await
    }

    /// Stores the key pair of a namespace that is `creating`, which is `ready` then.
    /// Does nothing to one that is not: it was deleted meanwhile, or has its keys.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn namespace_ready(
        &self,
        id: &str,
        public_key: &str,
        private_key: &[u8],
    ) -> Result<(), StoreError> {
        self.write("namespace.ready", async |tx| {
            sqlx::query(
                "UPDATE namespaces SET state = 'ready', public_key = $1, private_key = $2, updated = $3
                 WHERE id = $4 AND state = 'creating'",
            )
            .bind(public_key.to_owned())
            .bind(self.sealer.seal(private_key_place(id), private_key))
            .bind(now_ms())
            .bind(id.to_owned())
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
    }

    /// A namespace that could not be made goes to `error`, with the cause.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn namespace_failed(&self, id: &str, cause: &str) -> Result<(), StoreError> {
        self.write("namespace.fail", async |tx| {
            sqlx::query(
                "UPDATE namespaces SET state = 'error', error_message = $1, updated = $2
                 WHERE id = $3 AND state = 'creating'",
            )
            .bind(storable(cause))
            .bind(now_ms())
            .bind(id.to_owned())
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
    }

    /// Changes variables and description; `None` leaves them.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`].
    pub async fn update_namespace(
        &self,
        tenant: &Tenant,
        id: &str,
        environment: Option<SecretMap>,
        description: Option<String>,
    ) -> Result<NamespaceRow, StoreError> {
        self.write("namespace.update", async |tx| {
            let row: NamespaceRow = require_writable(tx, &self.sealer, tenant, id).await?;
            let environment = environment.as_ref().unwrap_or(&row.environment);
            sqlx::query(
                "UPDATE namespaces SET environment = $1, description = $2, updated = $3 WHERE id = $4",
            )
            .bind(self.sealer.seal_map(place(id), environment))
            .bind(description.clone().or_else(|| row.description.clone()))
            .bind(now_ms())
            .bind(id.to_owned())
            .execute(&mut *tx)
            .await?;
            require(tx, &self.sealer, tenant, id).await
        })
        .await
    }

    /// Marks a namespace and all its applications `deleting`, and ends their deploys. What runs must then be
    /// stopped, and [`Store::namespace_gone`] called.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`] when it is `deleting` already, [`StoreError::Locked`].
    pub async fn delete_namespace(&self, tenant: &Tenant, id: &str) -> Result<NamespaceRow, StoreError> {
        self.write("namespace.delete", async |tx| {
            require_writable::<NamespaceRow>(tx, &self.sealer, tenant, id).await?;
            let applications = sqlx::query("SELECT id FROM applications WHERE namespace_id = $1")
                .bind(id.to_owned())
                .fetch_all(&mut *tx)
                .await?;
            for application in applications {
                super::applications::mark_deleting(tx, &application.try_get::<String, _>("id")?).await?;
            }
            sqlx::query("UPDATE namespaces SET state = 'deleting', updated = $1 WHERE id = $2")
                .bind(now_ms())
                .bind(id.to_owned())
                .execute(&mut *tx)
                .await?;
            require(tx, &self.sealer, tenant, id).await
        })
        .await
    }

    /// Removes a `deleting` namespace whose applications are gone. Its registry namespace stays.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when it still has applications.
    pub async fn namespace_gone(&self, id: &str) -> Result<(), StoreError> {
        self.write("namespace.gone", async |tx| {
            sqlx::query("DELETE FROM namespaces WHERE id = $1 AND state = 'deleting'")
                .bind(id.to_owned())
                .execute(tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Ids of all namespaces in a state: what a start has to go on with.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn namespaces_in_state(&self, state: NamespaceStatus) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT id FROM namespaces WHERE state = $1 ORDER BY created, id")
            .bind(name_of(&state))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| row.try_get("id").map_err(StoreError::from)).collect()
    }

    /// The private key of a namespace, PKCS#8 PEM; `None` when it has none yet.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when it does not open.
    pub async fn signing_key(&self, id: &str) -> Result<Option<SecretString>, StoreError> {
        let row = sqlx::query("SELECT private_key FROM namespaces WHERE id = $1")
            .bind(id.to_owned())
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(sealed) = row.try_get::<Option<Vec<u8>>, _>("private_key")? else { return Ok(None) };
        let opened = self.sealer.open(private_key_place(id), &sealed)?;
        let pem = std::str::from_utf8(&opened)
            .map_err(|_| StoreError::Corrupt { column: "private_key", value: "no text".to_owned() })?;
        Ok(Some(SecretString::from(pem)))
    }
}

impl Owned for NamespaceRow {
    const KIND: &'static str = "namespace";
    const TABLE: &'static str = "namespaces";
    const ALIAS: &'static str = "n";
    const OWNER: &'static str = "n";
    const COLUMNS: &'static str =
        "n.id, n.organization_id, n.region, n.name, n.description, n.environment, n.state,
        n.error_message, n.registry_namespace_id, n.public_key, n.created, r.slug";
    const FROM: &'static str = "namespaces n JOIN registry_namespaces r ON r.id = n.registry_namespace_id";

    fn read(row: &AnyRow, sealer: &Sealer) -> Result<Self, StoreError> {
        let id: String = row.try_get("id")?;
        Ok(Self {
            environment: sealed_map(row, sealer, place(&id))?,
            id,
            organization_id: row.try_get("organization_id")?,
            region: row.try_get("region")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            state: named(row, "state")?,
            error_message: row.try_get("error_message")?,
            registry_namespace_id: row.try_get("registry_namespace_id")?,
            slug: row.try_get("slug")?,
            public_key: row.try_get("public_key")?,
            created: row.try_get("created")?,
        })
    }

    fn held(&self) -> Option<Held> {
        match self.state {
            NamespaceStatus::Locked => Some(Held::Locked),
            NamespaceStatus::Deleting => Some(Held::Deleting),
            _ => None,
        }
    }
}

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: "namespaces", column: "environment", row: id }
}

fn private_key_place(id: &str) -> Place<'_> {
    Place { table: "namespaces", column: "private_key", row: id }
}
