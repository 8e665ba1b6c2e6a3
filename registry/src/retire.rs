//! Images that the embedder has no use for any more: their tags go, then their manifests, then what nobody can reach.
//!
//! All in one collection: what requests touch from its beginning on stays. So whoever asks, once it has begun, what is in
//! use, and is told of all that was in use then, takes nothing from anybody who comes later.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use oci::Digest;

use crate::clean::unreached;
use crate::collect::{Collected, collect_within};
use crate::store::Disk;

/// What a repository holds that its embedder needs no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retired {
    /// The repository.
    pub repository: String,
    /// Tags, each with the image that it was given; one that points elsewhere by now stays.
    pub tags: Vec<(String, Digest)>,
    /// Images; one that another tag reaches, or that is `used`, stays.
    pub images: Vec<Digest>,
    /// Images that are needed, whatever tags there are.
    pub used: Vec<Digest>,
}

/// What a sweep took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Images, with their repositories, that are too young to go, or were just asked for: to be named again.
    pub waiting: HashSet<(String, Digest)>,
    /// And then what nobody could reach.
    pub collected: Collected,
}

/// Removes what `retired` answers and what nobody can reach, as far as it was not used for `grace`. `retired` is called
/// once the collection has begun; with `None` nothing happens. Blocks.
///
/// # Errors
/// `retired`'s; the store cannot be read or written. What was removed until then was to be removed.
pub fn sweep(
    store: &Disk,
    grace: Duration,
    retired: impl FnOnce() -> io::Result<Option<Vec<Retired>>>,
) -> io::Result<Option<Swept>> {
    let collection = store.begin_collection();
    let Some(retired) = retired()? else { return Ok(None) };
    let mut swept = Swept::default();
    for Retired { repository, tags, images, used } in retired {
        for (tag, digest) in &tags {
            swept.tags += u64::from(collection.remove_tag(&repository, tag, digest)?);
        }
        let used: HashSet<Digest> = used.into_iter().collect();
        let mut going: HashSet<Digest> = images.iter().cloned().collect();
        for image in &images {
            going.extend(store.referrers(&repository, image)?);
        }
        for digest in unreached(store, &repository, grace, &used)? {
            if going.contains(&digest) && collection.remove_manifest(&repository, &digest)? {
                swept.manifests += 1;
            }
        }
        let left = unreached(store, &repository, Duration::ZERO, &used)?;
        let waiting = left.into_iter().filter(|digest| images.contains(digest));
        swept.waiting.extend(waiting.map(|digest| (repository.clone(), digest)));
    }
    swept.collected = collect_within(&collection, store, grace)?;
    Ok(Some(swept))
}
