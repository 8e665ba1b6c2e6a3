//! Organizations and their API keys. A key is a random UUID v4; only its SHA-256 is stored (a fast hash is right:
//! the key has full entropy).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use super::{Store, StoreError, new_id, now_ms};

/// The first organization and its key, made at the first start.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// UUID v4.
    pub organization_id: String,
    /// UUID v4, the value of `X-Auth-Token`. Stored nowhere but in the first key's file.
    #[serde(rename = "api_key")]
    pub key: String,
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap").field("organization_id", &self.organization_id).finish_non_exhaustive()
    }
}

/// Why the first key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("the first API key cannot be kept in {path}: {source}")]
    File {
        /// Which file.
        path: std::path::PathBuf,
        /// What went wrong.
        source: io::Error,
    },
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
    /// Makes the first organization and its key when there is no organization yet, else `None`.
    ///
    /// The key is written to `file` (mode 0600) before the store knows it, so a kill in between loses nothing:
    /// the next start takes the pair from the file.
    ///
    /// # Errors
    /// [`BootstrapError`].
    pub async fn bootstrap(&self, file: &Path) -> Result<Option<Bootstrap>, BootstrapError> {
        if self.has_organization().await? {
            return Ok(None);
        }
        let first = keep_in(file).map_err(|source| BootstrapError::File { path: file.to_owned(), source })?;
        self.create_organization(&first).await?;
        Ok(Some(first))
    }

    async fn has_organization(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query("SELECT id FROM organizations LIMIT 1").fetch_optional(&self.readers).await?.is_some())
    }

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
            insert_key(tx, &first.organization_id, &first.key, None).await
        })
        .await
    }

    /// A new key of an organization; `expires` in milliseconds since the Unix epoch. Answers the key itself.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when there is no such organization.
    pub async fn create_key(
        &self,
        organization_id: &str,
        expires: Option<i64>,
    ) -> Result<String, StoreError> {
        let key = new_id();
        self.write("key.create", async |tx| insert_key(tx, organization_id, &key, expires).await).await?;
        Ok(key)
    }

    /// The organization whose key this is; `None` for unknown and expired ones.
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

async fn insert_key(
    tx: &mut sqlx::AnyConnection,
    organization_id: &str,
    key: &str,
    expires: Option<i64>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO api_keys (id, organization_id, hash, created, expires) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(new_id())
    .bind(organization_id.to_owned())
    .bind(hash_key(key))
    .bind(now_ms())
    .bind(expires)
    .execute(tx)
    .await?;
    Ok(())
}

/// The pair in the file, or a new pair that is in the file now.
fn keep_in(file: &Path) -> io::Result<Bootstrap> {
    if let Ok(text) = fs::read_to_string(file)
        && let Ok(kept) = serde_json::from_str(&text)
    {
        return Ok(kept);
    }
    let first = Bootstrap { organization_id: new_id(), key: new_id() };
    let temporary = file.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    opened.write_all(format!("{}\n", serde_json::to_string_pretty(&first)?).as_bytes())?;
    opened.sync_all()?;
    fs::rename(&temporary, file)?;
    Ok(first)
}
