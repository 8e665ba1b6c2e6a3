//! Uploads that end past this server are written down before anything asks for a function's last one.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use tokio::sync::Mutex;

use super::{ArchivePlace, ArchiveStore, Bucket, BucketError, bucket::Uploaded};
use crate::{
    effect::effect,
    store::{Archive, Known, Store, StoreError, new_id},
};

/// How often it is looked again when an upload replaces another one just then.
const ATTEMPTS: u32 = 5;
/// Functions of one turn wait for each other; that is rare with so many.
const TURNS: usize = 64;

/// Who looks after uploads of a function: one at a time, so that who looked first writes first.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<[Mutex<()>]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    fn of(&self, function_id: &str) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        function_id.hash(&mut hasher);
        &self.0[usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default()]
    }
}

/// Why it is not known what was uploaded last.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

impl ArchiveStore {
    /// Whether uploads end without this server's doing.
    #[must_use]
    pub fn is_settled_later(&self) -> bool {
        matches!(self.place(), ArchivePlace::Bucket(_))
    }

    /// Makes the upload of a function that ended last before this call its archive. Of several that ended since the
    /// last look it is the one that the bucket says was modified last, and at the same time the one whose URL is younger.
    ///
    /// # Errors
    /// [`SettleError`]; [`StoreError::Transient`] when the function is `deleting`.
    pub async fn settle(&self, store: &Store, function_id: &str) -> Result<(), SettleError> {
        let ArchivePlace::Bucket(bucket) = self.place() else { return Ok(()) };
        let _turn = self.turns.of(function_id).lock().await;
        for _ in 0..ATTEMPTS {
            let found = bucket.uploads(Some(function_id)).await?;
            let known = store.uploads_of(function_id).await?;
            let unseen = unseen(&found, &known);
            let Some((upload, last)) =
                unseen.iter().max_by_key(|(upload, known)| (upload.modified, known.created))
            else {
                return Ok(());
            };
            let seen: Vec<_> =
                unseen.iter().map(|(upload, _)| (upload.upload_id.clone(), upload.version())).collect();
            match self.keep(bucket, store, upload, last, &seen).await {
                Err(SettleError::Bucket(BucketError::Changed | BucketError::Missing { .. })) => {}
                done => return done,
            }
        }
        Err(BucketError::Restless(function_id.to_owned()).into())
    }

    /// Copies an upload to where nobody can replace it, and writes it down.
    async fn keep(
        &self,
        bucket: &Bucket,
        store: &Store,
        upload: &Uploaded,
        known: &Known,
        seen: &[(String, String)],
    ) -> Result<(), SettleError> {
        let _placing = self.placing().await;
        let key = new_id();
        effect("archive.copy", bucket.copy(upload, &key)).await?;
        // Of the copy: that stays what it is.
        let digest = bucket.digest(&key, upload.bytes).await?;
        let archive = Archive { key, bytes: upload.bytes, digest };
        let completed = store.complete_upload(&known.upload, &archive, seen).await;
        // One whose writing broke off may be the function's: then it is for the collector to see.
        if !matches!(completed, Ok(()) | Err(StoreError::Unavailable(_))) {
            self.remove(&archive.key).await;
        }
        completed?;
        tracing::info!(application.id = %known.upload.function_id, archive.key = %archive.key, "an upload was found");
        Ok(())
    }
}

/// Uploads that are not written down as they are now, and whose size is the announced one.
fn unseen<'a>(found: &'a [Uploaded], known: &'a [Known]) -> Vec<(&'a Uploaded, &'a Known)> {
    let unseen = found.iter().filter_map(|upload| {
        let known = known.iter().find(|known| known.upload.id == upload.upload_id)?;
        let is_news = known.seen.as_deref() != Some(&upload.version()) && known.upload.bytes == upload.bytes;
        is_news.then_some((upload, known))
    });
    unseen.collect()
}
