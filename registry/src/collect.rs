//! Garbage: blobs of a repository that no manifest of it names, and content that no repository links.
//!
//! Safe beside pushes. A push makes a blob visible first and names it in a manifest later, so a link is left alone
//! until it is old; whatever a request links, stores or finds while a collection runs is *touched* and stays. The
//! store's lock makes "not touched, so removed" one step.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime};

use oci::Digest;

use crate::manifests;
use crate::store::{Collection, Disk};

/// What a collection took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that were taken out of a repository.
    pub unlinked: u64,
    /// Files that were removed.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// Removes what cannot be reached and was not used for `grace`. Blocks; several at once wait for each other.
///
/// Reachable are the manifests of every repository (with and without tag), what they name, and their referrers.
///
/// # Errors
/// The store cannot be read or written. What was removed until then was garbage.
pub fn collect(store: &Disk, grace: Duration) -> io::Result<Collected> {
    collect_within(&store.begin_collection(), store, grace)
}

/// [`collect`], within a collection that has begun.
pub(crate) fn collect_within(
    collection: &Collection<'_>,
    store: &Disk,
    grace: Duration,
) -> io::Result<Collected> {
    let before = SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut collected = Collected::default();
    let mut linked = HashSet::new();
    for repository in store.repositories()? {
        let named = named(store, &repository)?;
        for (digest, since) in store.links(&repository)? {
            if named.contains(&digest) || since > before {
                linked.insert(digest);
            } else if collection.unlink(&repository, &digest)? {
                collected.unlinked += 1;
            } else {
                linked.insert(digest);
            }
        }
        linked.extend(store.manifests(&repository)?);
    }
    for (digest, bytes, since) in store.contents()? {
        if !linked.contains(&digest) && since <= before && collection.remove(&digest)? {
            collected.files += 1;
            collected.bytes += bytes;
        }
    }
    Ok(collected)
}

/// Everything that the manifests of a repository name.
fn named(store: &Disk, repository: &str) -> io::Result<HashSet<Digest>> {
    let mut named = HashSet::new();
    for digest in store.manifests(repository)? {
        // One that was deleted meanwhile names nothing.
        let Some((bytes, media_type, _)) = store.resolve(repository, digest.as_str())? else { continue };
        named.extend(manifests::names(&media_type, &bytes).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the manifest {digest} cannot be read"))
        })?);
    }
    Ok(named)
}
