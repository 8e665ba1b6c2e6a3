//! Archives that no function needs, and uploads whose URLs are good for nothing any more.

use super::{CollectError, Collector, Keep, Round};
use crate::{
    archives::{SettleError, Uploaded},
    effect::effect,
    store::{StoreError, now_ms},
};

impl Collector {
    /// Removes what is neither needed nor young.
    pub(super) async fn collect_archives(&self, round: &mut Round) -> Result<(), CollectError> {
        let Keep::Last(versions) = self.policy.archives else { return Ok(()) };
        let grace = i64::try_from(self.policy.grace.as_millis()).unwrap_or(i64::MAX);
        let before = now_ms().saturating_sub(grace);
        let kept = self.archives.list().await?;
        self.archives.placed().await;
        let needed = self.store.archives_needed(versions.into()).await?;
        for old in kept.iter().filter(|kept| kept.since <= before && !needed.contains(&kept.key)) {
            effect("archive.collect", self.archives.discard(&old.key)).await?;
            round.archives += 1;
            round.archive_bytes += old.bytes;
        }
        self.collect_uploads(before, round).await?;
        if !self.store.uploads_expired(before).await? {
            return Ok(());
        }
        Ok(self.store.forget_uploads(before).await?)
    }

    /// Removes what came past this server, where nothing can come any more: a function's last upload has become its
    /// archive by then.
    async fn collect_uploads(&self, before: i64, round: &mut Round) -> Result<(), CollectError> {
        for upload in self.archives.uploads().await?.iter().filter(|upload| upload.modified <= before) {
            if self.is_open(upload, before).await? {
                continue;
            }
            match self.archives.settle(&self.store, &upload.function_id).await {
                // Of a function that goes or is gone.
                Ok(())
                | Err(SettleError::Store(StoreError::Missing { .. } | StoreError::Transient { .. })) => {}
                Err(SettleError::Store(error)) => return Err(error.into()),
                Err(SettleError::Bucket(error)) => return Err(CollectError::Archives(error.into())),
            }
            effect("archive.collect", self.archives.discard_upload(upload)).await?;
            round.uploads += 1;
        }
        Ok(())
    }

    /// Whether the upload's URL was good at this time, in milliseconds since the Unix epoch.
    async fn is_open(&self, upload: &Uploaded, at: i64) -> Result<bool, CollectError> {
        match self.store.upload(&upload.upload_id).await {
            Ok(row) => Ok(row.expires >= at),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
