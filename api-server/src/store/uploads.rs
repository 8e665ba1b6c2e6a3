//! Uploads of archives: what a presigned URL was given for, and what came.

use std::collections::HashSet;

use sqlx::{Row as _, any::AnyRow};

use super::{
    FunctionRow, Store, StoreError, Tenant, new_id, now_ms,
    row::{optional_unsigned, signed, unsigned},
    tenant::require_writable,
};

/// A complete archive. The file of a key never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its file's name.
    pub key: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub digest: String,
}

impl Archive {
    /// From a row that has the three `archive_` columns.
    pub(super) fn of_row(row: &AnyRow) -> Result<Option<Self>, StoreError> {
        let key: Option<String> = row.try_get("archive_key")?;
        let bytes: Option<u64> = optional_unsigned(row, "archive_bytes")?;
        let digest: Option<String> = row.try_get("archive_digest")?;
        Ok(key.zip(bytes).zip(digest).map(|((key, bytes), digest)| Self { key, bytes, digest }))
    }
}

/// What a presigned URL was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// UUID v4, in the URL's path.
    pub id: String,
    /// The function it is for.
    pub function_id: String,
    /// Exactly as many bytes.
    pub bytes: u64,
    /// Milliseconds since the Unix epoch.
    pub expires: i64,
}

/// An upload, and what is known of it where it ends without the server's doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What its URL was given for.
    pub upload: Upload,
    /// When its URL was given, in milliseconds since the Unix epoch.
    pub created: i64,
    /// What it was when it was looked at last.
    pub seen: Option<String>,
}

impl Store {
    /// Writes down that a URL was given.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`].
    pub async fn create_upload(
        &self,
        tenant: &Tenant,
        function_id: &str,
        bytes: u64,
        expires: i64,
    ) -> Result<Upload, StoreError> {
        let upload = Upload { id: new_id(), function_id: function_id.to_owned(), bytes, expires };
        self.write("upload.create", async |tx| {
            require_writable::<FunctionRow>(tx, &self.sealer, tenant, function_id).await?;
            sqlx::query(
                "INSERT INTO uploads (id, function_id, bytes, expires, created) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(upload.id.clone())
            .bind(function_id.to_owned())
            .bind(signed(bytes))
            .bind(expires)
            .bind(now_ms())
            .execute(tx)
            .await?;
            Ok(upload)
        })
        .await
    }

    /// The upload of this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`], also once the function is gone.
    pub async fn upload(&self, id: &str) -> Result<Upload, StoreError> {
        let row = sqlx::query("SELECT * FROM uploads WHERE id = $1")
            .bind(id.to_owned())
            .fetch_optional(&self.readers)
            .await?
            .ok_or_else(|| StoreError::missing("upload", id))?;
        read(&row)
    }

    /// All uploads of a function that are not forgotten.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn uploads_of(&self, function_id: &str) -> Result<Vec<Known>, StoreError> {
        let sql = "SELECT * FROM uploads WHERE function_id = $1";
        let rows = sqlx::query(sql).bind(function_id.to_owned()).fetch_all(&self.readers).await?;
        let known = |row: &AnyRow| {
            Ok(Known { upload: read(row)?, created: row.try_get("created")?, seen: row.try_get("seen")? })
        };
        rows.iter().map(known).collect()
    }

    /// An archive is complete and lies under its key: it is what the next deploy takes. `seen` says of uploads what they
    /// were when they were looked at, by their ids.
    ///
    /// # Errors
    /// [`StoreError::Transient`] when the function is `deleting`, [`StoreError::Missing`] when it is gone.
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        archive: &Archive,
        seen: &[(String, String)],
    ) -> Result<(), StoreError> {
        self.write("upload.complete", async |tx| {
            let row = sqlx::query("SELECT state FROM applications WHERE id = $1")
                .bind(upload.function_id.clone())
                .fetch_optional(&mut *tx)
                .await?
                .ok_or_else(|| StoreError::missing("function", &upload.function_id))?;
            let state: String = row.try_get("state")?;
            if state == "deleting" {
                let id = upload.function_id.clone();
                return Err(StoreError::Transient { resource: "function", id, state });
            }
            sqlx::query("UPDATE uploads SET completed = $1, archive_key = $2 WHERE id = $3")
                .bind(now_ms())
                .bind(archive.key.clone())
                .bind(upload.id.clone())
                .execute(&mut *tx)
                .await?;
            for (id, version) in seen {
                sqlx::query("UPDATE uploads SET seen = $1 WHERE id = $2")
                    .bind(version.clone())
                    .bind(id.clone())
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query(
                "UPDATE applications SET archive_key = $1, archive_bytes = $2, archive_digest = $3, updated = $4
                 WHERE id = $5",
            )
            .bind(archive.key.clone())
            .bind(signed(archive.bytes))
            .bind(archive.digest.clone())
            .bind(now_ms())
            .bind(upload.function_id.clone())
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
    }

    /// Keys of all archives of a function, also of those that were collected.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn archives_of(&self, function_id: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT archive_key FROM applications WHERE id = $1 AND archive_key IS NOT NULL
             UNION SELECT archive_key FROM deploys WHERE application_id = $1 AND archive_key IS NOT NULL
             UNION SELECT archive_key FROM uploads WHERE function_id = $1 AND archive_key IS NOT NULL";
        let rows = sqlx::query(sql).bind(function_id.to_owned()).fetch_all(&self.readers).await?;
        rows.iter().map(|row| row.try_get("archive_key").map_err(StoreError::from)).collect()
    }

    /// Keys of all archives that any row names, needed or not.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn archives_known(&self) -> Result<HashSet<String>, StoreError> {
        let sql = "SELECT archive_key FROM applications WHERE archive_key IS NOT NULL
             UNION SELECT archive_key FROM deploys WHERE archive_key IS NOT NULL
             UNION SELECT archive_key FROM uploads WHERE archive_key IS NOT NULL";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await?;
        rows.iter().map(|row| row.try_get("archive_key").map_err(StoreError::from)).collect()
    }

    /// Keys of all archives that are needed: each function's last one, those of unfinished deploys, of what is live, and
    /// of the last `versions` versions.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn archives_needed(&self, versions: u64) -> Result<HashSet<String>, StoreError> {
        // One statement, so that an archive which goes from one of these to another is in it.
        let rows = sqlx::query(
            "SELECT archive_key FROM applications WHERE archive_key IS NOT NULL
             UNION SELECT archive_key FROM deploys
             WHERE archive_key IS NOT NULL AND state NOT IN ('ready', 'error')
             UNION SELECT d.archive_key FROM deploys d
             JOIN revisions r ON r.id = d.revision_id JOIN applications a ON a.id = r.application_id
             WHERE d.archive_key IS NOT NULL AND (r.id = a.live_revision OR r.version > a.last_version - $1)",
        )
        .bind(signed(versions))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| row.try_get("archive_key").map_err(StoreError::from)).collect()
    }

    /// Whether there is an upload whose URL expired before this, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn uploads_expired(&self, before: i64) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM uploads WHERE expires < $1 LIMIT 1";
        Ok(sqlx::query(sql).bind(before).fetch_optional(&self.readers).await?.is_some())
    }

    /// Forgets the uploads whose URLs expired before this, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn forget_uploads(&self, before: i64) -> Result<(), StoreError> {
        self.write("upload.forget", async |tx| {
            sqlx::query("DELETE FROM uploads WHERE expires < $1").bind(before).execute(tx).await?;
            Ok(())
        })
        .await
    }
}

fn read(row: &AnyRow) -> Result<Upload, StoreError> {
    Ok(Upload {
        id: row.try_get("id")?,
        function_id: row.try_get("function_id")?,
        bytes: unsigned(row, "bytes")?,
        expires: row.try_get("expires")?,
    })
}
