//! Archives that no function needs, and uploads whose URLs are good for nothing any more.

use super::{CollectError, Collector, Keep, Round};
use crate::{effect::effect, store::now_ms};

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
        if !self.store.uploads_expired(before).await? {
            return Ok(());
        }
        Ok(self.store.forget_uploads(before).await?)
    }
}
