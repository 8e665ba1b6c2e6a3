//! Organizations and their API keys. A key is a random UUID v4; only its SHA-256 is stored (a fast hash is right:
//! the key has full entropy). A key is looked up at each request, so one that is revoked is unknown from then on.

use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{Bootstrap, Store, StoreError, new_id, now_ms};

/// A key as it is stored: not the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// UUID v4 that names the key and opens nothing.
    pub id: String,
    /// Whose it is.
    pub organization_id: String,
    /// What it is for, in its maker's words.
    pub name: Option<String>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created: i64,
    /// From when it is unknown, likewise.
    pub expires: Option<i64>,
}

/// A new key.
#[derive(Clone)]
pub struct NewKey {
    /// What is stored.
    pub row: KeyRow,
    /// The value of `X-Auth-Token`; stored nowhere.
    pub key: String,
}

/// SHA-256 of a key, in hexadecimal, as stored.
#[must_use]
pub fn hash_key(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    /// An organization with a first key.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when it exists.
    pub async fn create_organization(&self, first: &Bootstrap) -> Result<(), StoreError> {
        self.write("organization.bootstrap", async |tx| {
            sqlx::query("INSERT INTO organizations (id, created) VALUES ($1, $2)")
                .bind(first.organization_id.clone())
                .bind(now_ms())
                .execute(&mut *tx)
                .await
                .map_err(|error| StoreError::or_duplicate(error, "organization", &first.organization_id))?;
            let row = KeyRow {
                id: new_id(),
                organization_id: first.organization_id.clone(),
                name: Some("first key".to_owned()),
                created: now_ms(),
                expires: None,
            };
            insert(tx, &row, &first.key).await
        })
        .await
    }

    /// All organizations, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn organizations(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT id FROM organizations ORDER BY created, id").fetch_all(&self.readers);
        rows.await?.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// A new key of an organization; `expires` in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such organization.
    pub async fn create_key(
        &self,
        organization_id: &str,
        name: Option<&str>,
        expires: Option<i64>,
    ) -> Result<NewKey, StoreError> {
        let row = KeyRow {
            id: new_id(),
            organization_id: organization_id.to_owned(),
            name: name.map(str::to_owned),
            created: now_ms(),
            expires,
        };
        let key = new_id();
        self.write("key.create", async |tx| {
            let organization =
                sqlx::query("SELECT id FROM organizations WHERE id = $1").bind(&row.organization_id);
            if organization.fetch_optional(&mut *tx).await?.is_none() {
                return Err(StoreError::missing("organization", &row.organization_id));
            }
            insert(tx, &row, &key).await
        })
        .await?;
        Ok(NewKey { row, key })
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, organization_id, name, created, expires FROM api_keys ORDER BY created, id",
        );
        rows.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// Forgets a key: from now on it is unknown.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no key of this id.
    pub async fn revoke_key(&self, id: &str) -> Result<KeyRow, StoreError> {
        self.write("key.revoke", async |tx| {
            let deleted = sqlx::query(
                "DELETE FROM api_keys WHERE id = $1 RETURNING id, organization_id, name, created, expires",
            );
            let row = deleted.bind(id.to_owned()).fetch_optional(tx).await?;
            read(&row.ok_or_else(|| StoreError::missing("key", id))?)
        })
        .await
    }

    /// The organization whose key this is; `None` for unknown, revoked and expired ones.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn organization_of_key(&self, key: &str) -> Result<Option<String>, StoreError> {
        // The hash is looked up, not the key: how long the index takes says nothing about the key.
        let row = sqlx::query(
            "SELECT organization_id FROM api_keys WHERE hash = $1 AND (expires IS NULL OR expires > $2)",
        )
        .bind(hash_key(key))
        .bind(now_ms())
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| row.try_get("organization_id").map_err(StoreError::from)).transpose()
    }
}

fn read(row: &AnyRow) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        id: row.try_get("id")?,
        organization_id: row.try_get("organization_id")?,
        name: row.try_get("name")?,
        created: row.try_get("created")?,
        expires: row.try_get("expires")?,
    })
}

async fn insert(tx: &mut AnyConnection, row: &KeyRow, key: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO api_keys (id, organization_id, hash, name, created, expires) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(row.id.clone())
    .bind(row.organization_id.clone())
    .bind(hash_key(key))
    .bind(row.name.clone())
    .bind(row.created)
    .bind(row.expires)
    .execute(tx)
    .await?;
    Ok(())
}
