//! All sealed values of the store: which keys they have, and sealing them with another.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Store, StoreError};
use crate::secrets::{KeyId, Place, key_id};

/// Values that one transaction seals again: others that write wait for it.
const BATCH: i64 = 100;
/// Values of a column at which a start looks for their key.
const SAMPLE: i64 = 1000;

/// A column of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    table: &'static str,
    column: &'static str,
    /// Under which table's name they were sealed: the one that the table had when the first of them was.
    sealed_for: &'static str,
}

/// Every column that holds sealed values.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn { table: "namespaces", column: "environment", sealed_for: "namespaces" },
    SealedColumn { table: "namespaces", column: "private_key", sealed_for: "namespaces" },
    SealedColumn { table: "applications", column: "environment", sealed_for: "functions" },
    SealedColumn { table: "deploys", column: "environment", sealed_for: "deploys" },
    SealedColumn { table: "revisions", column: "environment", sealed_for: "revisions" },
];

/// One transaction's work of [`Store::reseal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resealed {
    /// Values that were sealed again.
    pub(crate) values: u64,
    /// The last row that was looked at; `None`: there was none.
    pub(crate) last: Option<String>,
}

impl Store {
    /// Seals the next values of a column after row `after` with the key that seals now; those that have it stay.
    ///
    /// # Errors
    /// [`StoreError::Unsealable`] names a row whose value does not open.
    pub(crate) async fn reseal(&self, of: &SealedColumn, after: &str) -> Result<Resealed, StoreError> {
        let SealedColumn { table, column, sealed_for } = *of;
        let read = format!(
            "SELECT id, {column} AS sealed FROM {table} WHERE id > $1 AND {column} IS NOT NULL ORDER BY id LIMIT $2"
        );
        let write = format!("UPDATE {table} SET {column} = $1 WHERE id = $2");
        self.write("secrets.reseal", async |tx| {
            let rows = sqlx::query(AssertSqlSafe(read.clone()))
                .bind(after.to_owned())
                .bind(BATCH)
                .fetch_all(&mut *tx)
                .await?;
            let current = self.sealer.keys().current().id();
            let mut resealed = Resealed { values: 0, last: None };
            for row in rows {
                let (id, sealed): (String, Vec<u8>) = (row.try_get("id")?, row.try_get("sealed")?);
                if key_id(&sealed) != Some(current) {
                    let place = Place { table: sealed_for, column, row: &id };
                    let opened = self.sealer.open(place, &sealed);
                    let opened =
                        opened.map_err(|cause| StoreError::Unsealable { table, row: id.clone(), cause })?;
                    sqlx::query(AssertSqlSafe(write.clone()))
                        .bind(self.sealer.seal(place, &opened))
                        .bind(id.clone())
                        .execute(&mut *tx)
                        .await?;
                    resealed.values += 1;
                }
                resealed.last = Some(id);
            }
            Ok(resealed)
        })
        .await
    }

    /// Whether any value is sealed with another key than the one that seals now.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub(crate) async fn has_values_of_old_keys(&self) -> Result<bool, StoreError> {
        let current = self.sealer.keys().current().id().bytes().to_vec();
        for SealedColumn { table, column, .. } in SEALED {
            let sql = format!(
                "SELECT id FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 2, 4) <> $1 LIMIT 1"
            );
            let found = sqlx::query(AssertSqlSafe(sql)).bind(current.clone());
            if found.fetch_optional(&self.readers).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// For the start: that the keys of the key file are this database's, as far as some of its values tell.
    ///
    /// # Errors
    /// [`StoreError::OtherKeys`].
    pub async fn require_own_keys(&self) -> Result<(), StoreError> {
        let keys = self.sealer.keys();
        let known = keys.ids();
        for SealedColumn { table, column, .. } in SEALED {
            let sql = format!(
                "SELECT DISTINCT substr(sealed, 2, 4) AS key FROM
                 (SELECT {column} AS sealed FROM {table} WHERE {column} IS NOT NULL LIMIT $1) AS sample"
            );
            for row in sqlx::query(AssertSqlSafe(sql)).bind(SAMPLE).fetch_all(&self.readers).await? {
                let id: Vec<u8> = row.try_get("key")?;
                // What is too short is no sealed value, and is told when it is opened.
                let Ok(id) = <[u8; 4]>::try_from(id).map(KeyId) else { continue };
                if !known.contains(&id) {
                    return Err(StoreError::OtherKeys { key: id, path: keys.path().to_owned() });
                }
            }
        }
        Ok(())
    }
}
