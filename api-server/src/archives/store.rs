//! The archives of a server, wherever they are, and who is about to add to them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::{Bucket, BucketError, Disk, bucket::Uploaded, disk::Temporary, settle::Turns};
use crate::store::{Archive, new_id};

/// Archives by key. Under its key an archive is complete and never changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ArchiveStore {
    place: ArchivePlace,
    placing: Arc<RwLock<()>>,
    pub(super) turns: Turns,
}

/// Where archives are.
#[derive(Debug, Clone)]
pub enum ArchivePlace {
    /// In files; uploads and downloads go through this server.
    Disk(Disk),
    /// In a bucket; uploads and downloads go past this server.
    Bucket(Bucket),
}

/// Why archives could not be listed, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
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

/// An archive as a file of this machine, as long as this value is there.
#[derive(Debug)]
pub(crate) struct Local {
    path: PathBuf,
    _gone_after: Option<Temporary>,
}

impl Local {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl From<Disk> for ArchiveStore {
    fn from(disk: Disk) -> Self {
        Self::at(ArchivePlace::Disk(disk))
    }
}

impl From<Bucket> for ArchiveStore {
    fn from(bucket: Bucket) -> Self {
        Self::at(ArchivePlace::Bucket(bucket))
    }
}

impl ArchiveStore {
    fn at(place: ArchivePlace) -> Self {
        Self { place, placing: Arc::default(), turns: Turns::default() }
    }

    /// Where they are.
    #[must_use]
    pub fn place(&self) -> &ArchivePlace {
        &self.place
    }

    /// The files, when archives are files.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        match &self.place {
            ArchivePlace::Disk(disk) => Some(disk),
            ArchivePlace::Bucket(_) => None,
        }
    }

    /// See [`Placing`].
    pub async fn placing(&self) -> Placing {
        Placing { _placing: Arc::clone(&self.placing).read_owned().await }
    }

    /// Resolves when what was being placed is in the database, or will never be.
    pub async fn placed(&self) {
        drop(self.placing.write().await);
    }

    /// An archive as a file; below `scratch` when it is not one already.
    ///
    /// # Errors
    /// [`ArchiveError::Bucket`]. A file that is not there is found out by whoever opens it.
    pub(crate) async fn local(&self, archive: &Archive, scratch: &Path) -> Result<Local, ArchiveError> {
        match &self.place {
            ArchivePlace::Disk(disk) => Ok(Local { path: disk.path(&archive.key), _gone_after: None }),
            ArchivePlace::Bucket(bucket) => {
                let path = scratch.join(format!("{}-{}.zip", archive.key, new_id()));
                let goes = Temporary(path.clone());
                bucket.download(&archive.key, archive.bytes, &path).await?;
                Ok(Local { path, _gone_after: Some(goes) })
            }
        }
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
    /// [`ArchiveError`].
    pub async fn discard(&self, key: &str) -> Result<(), ArchiveError> {
        match &self.place {
            ArchivePlace::Disk(disk) => Ok(disk.remove(key).await?),
            ArchivePlace::Bucket(bucket) => Ok(bucket.remove(key).await?),
        }
    }

    /// All that is kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn list(&self) -> Result<Vec<Kept>, ArchiveError> {
        match &self.place {
            ArchivePlace::Disk(disk) => Ok(disk.list().await?),
            ArchivePlace::Bucket(bucket) => Ok(bucket.archives().await?),
        }
    }

    /// All that came past this server and is still where it came.
    ///
    /// # Errors
    /// [`ArchiveError::Bucket`].
    pub async fn uploads(&self) -> Result<Vec<Uploaded>, ArchiveError> {
        match &self.place {
            ArchivePlace::Disk(_) => Ok(Vec::new()),
            ArchivePlace::Bucket(bucket) => Ok(bucket.uploads(None).await?),
        }
    }

    /// Removes what came past this server.
    ///
    /// # Errors
    /// [`ArchiveError::Bucket`].
    pub async fn discard_upload(&self, upload: &Uploaded) -> Result<(), ArchiveError> {
        match &self.place {
            ArchivePlace::Disk(_) => Ok(()),
            ArchivePlace::Bucket(bucket) => Ok(bucket.remove_upload(upload).await?),
        }
    }

    /// Removes all that came past this server for a function that goes; what stays is logged: it is collected later.
    pub async fn remove_uploads(&self, function_id: &str) {
        let ArchivePlace::Bucket(bucket) = &self.place else { return };
        let removed = async {
            for upload in bucket.uploads(Some(function_id)).await? {
                bucket.remove_upload(&upload).await?;
            }
            Ok::<_, BucketError>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!(application.id = %function_id, %error, "uploads could not be removed");
        }
    }
}
