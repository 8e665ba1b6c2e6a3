//! The archives of a server, and who is about to add to them.

use std::{io, sync::Arc};

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::Disk;

/// Archives by key. Under its key an archive is complete and never changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ArchiveStore {
    disk: Disk,
    placing: Arc<RwLock<()>>,
}

/// Held from the moment in which an archive gets its key until the database has it: a collection that begins meanwhile
/// waits, so that it never takes an archive for nobody's which is about to be somebody's.
#[derive(Debug)]
pub struct Placing {
    _placing: OwnedRwLockReadGuard<()>,
}

/// An archive that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its key.
    pub key: String,
    /// Since when it is there, in milliseconds since the Unix epoch.
    pub since: i64,
    /// Its size.
    pub bytes: u64,
}

impl From<Disk> for ArchiveStore {
    fn from(disk: Disk) -> Self {
        Self { disk, placing: Arc::default() }
    }
}

impl ArchiveStore {
    /// The files.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// See [`Placing`].
    pub async fn placing(&self) -> Placing {
        Placing { _placing: Arc::clone(&self.placing).read_owned().await }
    }

    /// Resolves when what was being placed is in the database, or will never be.
    pub async fn placed(&self) {
        drop(self.placing.write().await);
    }

    /// Removes an archive; one that is not there is no error, and one that stays is logged: it is collected later.
    pub async fn remove(&self, key: &str) {
        if let Err(error) = self.discard(key).await {
            tracing::warn!(archive.key = %key, %error, "an archive could not be removed");
        }
    }

    /// Removes an archive; one that is not there is no error.
    ///
    /// # Errors
    /// The disk's.
    pub async fn discard(&self, key: &str) -> io::Result<()> {
        self.disk.remove(key).await
    }

    /// All that is kept.
    ///
    /// # Errors
    /// The disk's.
    pub async fn list(&self) -> io::Result<Vec<Kept>> {
        self.disk.list().await
    }
}
