//! What may be collected: see `docs/collection.md`.

use sqlx::Row as _;

use super::{
    Store, StoreError, now_ms,
    row::{optional_unsigned, signed},
};

/// An image that is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredImage {
    /// Row of the revision, or of the deploy that failed.
    pub id: String,
    /// The repository that has it.
    pub repository: String,
    /// Version of the revision, which is its tag; of a deploy that failed there is none.
    pub version: Option<u64>,
    /// `sha256:...`
    pub digest: String,
}

/// With these deploys nothing of an application is touched.
const NO_DEPLOY: &str = "NOT EXISTS (SELECT 1 FROM deploys u WHERE u.application_id = a.id
    AND u.state NOT IN ('ready', 'error'))";

impl Store {
    /// Images of versions that are neither live nor among the last `versions`, and of deploys that failed; of
    /// applications of which no deploy is under way, and that were not collected before.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn retired_images(&self, versions: u64) -> Result<Vec<RetiredImage>, StoreError> {
        let sql = format!(
            "SELECT r.id AS id, r.image_reference AS repository, r.version AS version, r.image_digest AS digest
             FROM revisions r JOIN applications a ON a.id = r.application_id
             WHERE r.collected IS NULL AND a.state <> 'deleting' AND r.version <= a.last_version - $1
             AND (a.live_revision IS NULL OR a.live_revision <> r.id) AND {NO_DEPLOY}
             UNION ALL
             SELECT d.id, d.repository, NULL, d.image_digest
             FROM deploys d JOIN applications a ON a.id = d.application_id
             WHERE d.collected IS NULL AND d.state = 'error' AND d.image_digest IS NOT NULL
             AND a.state <> 'deleting' AND {NO_DEPLOY}"
        );
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(signed(versions)).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                Ok(RetiredImage {
                    id: row.try_get("id")?,
                    repository: row.try_get("repository")?,
                    version: optional_unsigned(row, "version")?,
                    digest: row.try_get("digest")?,
                })
            })
            .collect()
    }

    /// Repository and digest of the images that are live, or of the last `versions` versions.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn images_needed(&self, versions: u64) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.image_reference, r.image_digest FROM revisions r JOIN applications a ON a.id = r.application_id
             WHERE r.id = a.live_revision OR r.version > a.last_version - $1",
        )
        .bind(signed(versions))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("image_reference")?, row.try_get("image_digest")?))).collect()
    }

    /// These images are gone from their repositories, as far as nobody else needs them.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn images_collected(&self, images: &[RetiredImage]) -> Result<(), StoreError> {
        self.write("image.collected", async |tx| {
            for image in images {
                let sql = match image.version {
                    Some(_) => "UPDATE revisions SET collected = $1 WHERE id = $2",
                    None => "UPDATE deploys SET collected = $1 WHERE id = $2",
                };
                sqlx::query(sql).bind(now_ms()).bind(image.id.clone()).execute(&mut *tx).await?;
            }
            Ok(())
        })
        .await
    }
}
