//! Images of versions that are not kept: their tags, their manifests, then what no image of the registry holds.

use std::{collections::BTreeMap, io, time::Duration};

use oci::Digest;
use registry::{Retired, Swept, sweep};
use tokio::runtime::Handle;

use super::{CollectError, Collector, Keep, Round};
use crate::{
    effect::effect,
    store::{RetiredImage, Store, StoreError},
};

/// A push takes less. With a shorter grace a collection waits for a moment without deploys.
const LONG: Duration = Duration::from_secs(3600);

impl Collector {
    /// Removes images that no version which is kept has, and the registry's garbage.
    pub(super) async fn collect_images(&self, round: &mut Round) -> Result<(), CollectError> {
        let grace = self.policy.grace;
        let (collector, runtime) = (self.clone(), Handle::current());
        let work = tokio::task::spawn_blocking(move || {
            let mut rows = Vec::new();
            let swept = sweep(&collector.images, grace, || {
                let retired = runtime.block_on(collector.retired()).map_err(io::Error::other)?;
                Ok(retired.map(|(retired, of)| {
                    rows = of;
                    retired
                }))
            });
            swept.map(|swept| swept.map(|swept| (swept, rows)))
        });
        let swept = effect("image.collect", work).await.map_err(io::Error::other)??;
        let Some((swept, rows)) = swept else { return Ok(()) };
        round.tags += swept.tags;
        round.manifests += swept.manifests;
        round.files += swept.collected.files;
        round.bytes += swept.collected.bytes;
        let done = done(rows, &swept);
        match done.is_empty() {
            true => Ok(()),
            false => Ok(self.store.images_collected(&done).await?),
        }
    }

    /// What may go of each repository, and the rows that say so. `None`: not now.
    async fn retired(&self) -> Result<Option<(Vec<Retired>, Vec<RetiredImage>)>, StoreError> {
        if self.policy.grace < LONG && !self.store.unfinished_deploys().await?.is_empty() {
            return Ok(None);
        }
        let Keep::Last(versions) = self.policy.images else { return Ok(Some(Default::default())) };
        let rows = self.store.retired_images(versions.into()).await?;
        let retired = by_repository(&self.store, &rows, versions.into()).await?;
        Ok(Some((retired, rows)))
    }
}

async fn by_repository(
    store: &Store,
    rows: &[RetiredImage],
    versions: u64,
) -> Result<Vec<Retired>, StoreError> {
    let mut all = BTreeMap::<&str, Retired>::new();
    for row in rows {
        // A digest that this program did not write is nobody's image.
        let Ok(digest) = Digest::parse(&row.digest) else { continue };
        let retired = all.entry(&row.repository).or_default();
        retired.repository.clone_from(&row.repository);
        retired.tags.extend(row.version.map(|version| (version.to_string(), digest.clone())));
        retired.images.push(digest);
    }
    if all.is_empty() {
        return Ok(Vec::new());
    }
    for (repository, digest) in store.images_needed(versions).await? {
        if let (Some(retired), Ok(digest)) = (all.get_mut(repository.as_str()), Digest::parse(&digest)) {
            retired.used.push(digest);
        }
    }
    Ok(all.into_values().collect())
}

/// The rows that need not be looked at again.
fn done(mut rows: Vec<RetiredImage>, swept: &Swept) -> Vec<RetiredImage> {
    rows.retain(|row| {
        let digest = Digest::parse(&row.digest);
        digest.map_or(true, |digest| !swept.waiting.contains(&(row.repository.clone(), digest)))
    });
    rows
}
