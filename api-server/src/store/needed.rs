//! For backups: a copy of the database, and which files it names.

use std::{collections::BTreeSet, path::Path};

use sqlx::{AnyConnection, Connection as _, Row as _};

use super::{Store, StoreError, sqlite};

/// The files that rows name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NeededFiles {
    /// Keys of archives, of applications that are not going.
    pub archives: BTreeSet<String>,
    /// Images that serve.
    pub images: BTreeSet<NeededImage>,
}

/// An image in the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededImage {
    /// Its repository.
    pub repository: String,
    /// Its digest.
    pub digest: String,
}

impl Store {
    /// Writes a copy of a SQLite database as it is at this moment, without holding anybody up.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub(crate) async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        sqlx::query("VACUUM INTO $1")
            .bind(path.to_string_lossy().into_owned())
            .execute(&self.readers)
            .await?;
        Ok(())
    }

    /// What a copy of a SQLite database names.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub(crate) async fn needed_by_copy(path: &Path) -> Result<NeededFiles, StoreError> {
        let mut copy = sqlite::read_copy(path).await?;
        let needed = needed(&mut copy).await?;
        copy.close().await?;
        Ok(needed)
    }

    /// What the store names now.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub(crate) async fn needed_files(&self) -> Result<NeededFiles, StoreError> {
        needed(&mut *self.readers.acquire().await?).await
    }
}

async fn needed(connection: &mut AnyConnection) -> Result<NeededFiles, StoreError> {
    // Of an application that is `deleting` the archive may have gone before its row.
    let archives = sqlx::query(
        "SELECT archive_key FROM applications WHERE archive_key IS NOT NULL AND state <> 'deleting'
         UNION SELECT archive_key FROM deploys
         WHERE archive_key IS NOT NULL AND state NOT IN ('ready', 'error')",
    )
    .fetch_all(&mut *connection)
    .await?;
    let images = sqlx::query(
        "SELECT r.image_reference, r.image_digest FROM applications a JOIN revisions r ON r.id = a.live_revision
         WHERE a.state <> 'deleting'",
    )
    .fetch_all(connection)
    .await?;
    let mut needed = NeededFiles::default();
    for row in archives {
        needed.archives.insert(row.try_get("archive_key")?);
    }
    for row in images {
        let repository = row.try_get("image_reference")?;
        needed.images.insert(NeededImage { repository, digest: row.try_get("image_digest")? });
    }
    Ok(needed)
}
