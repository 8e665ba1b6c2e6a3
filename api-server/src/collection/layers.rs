//! Layers that were unpacked to run, of which no version that is live consists any more.

use std::collections::HashSet;

use super::{CollectError, Collector, Keep, Round};
use crate::{effect::effect, store::now_ms};

impl Collector {
    /// Removes what neither a live version, nor a base, nor an instance has.
    pub(super) async fn collect_layers(&self, round: &mut Round) -> Result<(), CollectError> {
        let (Some(unpacked), Keep::Last(_)) = (&self.unpacked, self.policy.images) else { return Ok(()) };
        let grace = i64::try_from(self.policy.grace.as_millis()).unwrap_or(i64::MAX);
        // Before it is asked what is needed: what is unpacked from here on stays.
        let before = now_ms().saturating_sub(grace);
        // An older version is unpacked again should it ever go live.
        let mut needed: HashSet<_> = self.store.images_needed(0).await?.into_iter().collect();
        needed.extend(unpacked.bases.iter().cloned());
        let work = unpacked.instances.collect_layers(needed.into_iter().collect(), before);
        round.layers += effect("layers.collect", work).await?;
        Ok(())
    }
}
