//! `POST /v2/<name>/_zipship/clean`: manifests of a repository that no tag reaches go, then what nobody can reach any
//! more in the store.
//!
//! A manifest is reached by a tag, by an index that is reached, by a subject that is reached, or by whatever the
//! embedder runs (`Authorize::in_use`).

use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use oci::Digest;
use serde::Serialize;

use crate::error::Refusal;
use crate::route::Answer;
use crate::store::{Disk, blocking};
use crate::{Registry, collect, manifests};

/// What a cleaning took away.
#[derive(Debug, Serialize)]
struct Cleaned {
    /// Manifests of the repository.
    manifests: u64,
    /// Files of the store, of all repositories.
    files: u64,
    /// Their size.
    bytes: u64,
    /// What was used within so many seconds stays for now.
    grace_seconds: u64,
}

/// Cleans a repository.
pub(crate) async fn clean(registry: &Registry, name: &str) -> Answer {
    let Ok(_alone) = registry.cleaning.try_lock() else {
        let busy = Refusal::too_many("another cleaning is under way");
        return Err(busy.with(RETRY_AFTER, "1"));
    };
    let grace = registry.limits.grace;
    let (store, repository) = (registry.store.clone(), name.to_owned());
    let candidates = blocking(move || unreached(&store, &repository, grace, &HashSet::new())).await?;
    let (mut free, mut used) = (HashSet::new(), HashSet::new());
    for digest in candidates {
        let set =
            if registry.authorize.in_use(name, &digest).await?.is_none() { &mut free } else { &mut used };
        set.insert(digest);
    }
    let (store, repository) = (registry.store.clone(), name.to_owned());
    let cleaned = blocking(move || {
        let manifests = remove(&store, &repository, grace, &free, &used)?;
        let collected = collect(&store, grace)?;
        let (files, bytes) = (collected.files, collected.bytes);
        Ok(Cleaned { manifests, files, bytes, grace_seconds: grace.as_secs() })
    });
    Ok(Json(cleaned.await?).into_response())
}

/// Removes those of `free` that are not reached now either, and that no request touches meanwhile.
fn remove(
    store: &Disk,
    repository: &str,
    grace: Duration,
    free: &HashSet<Digest>,
    used: &HashSet<Digest>,
) -> io::Result<u64> {
    let collection = store.begin_collection();
    let mut removed = 0;
    for digest in unreached(store, repository, grace, used)? {
        if free.contains(&digest) && collection.remove_manifest(repository, &digest)? {
            removed += 1;
        }
    }
    Ok(removed)
}

/// The manifests that neither a tag nor a `used` one reaches, and that were not stored within `grace`.
pub(crate) fn unreached(
    store: &Disk,
    repository: &str,
    grace: Duration,
    used: &HashSet<Digest>,
) -> io::Result<Vec<Digest>> {
    let before = SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
    let all = store.manifests_since(repository)?;
    let mut reached: HashSet<Digest> = store.tagged(repository)?.into_iter().collect();
    reached.extend(all.iter().filter(|(_, since)| *since > before).map(|(digest, _)| digest.clone()));
    reached.extend(used.iter().cloned());
    let mut open: Vec<Digest> = reached.iter().cloned().collect();
    while let Some(digest) = open.pop() {
        let named = match store.resolve(repository, digest.as_str())? {
            Some((bytes, media_type, _)) => manifests::names(&media_type, &bytes).unwrap_or_default(),
            None => Vec::new(),
        };
        for next in named.into_iter().chain(store.referrers(repository, &digest)?) {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Ok(all.into_iter().map(|(digest, _)| digest).filter(|digest| !reached.contains(digest)).collect())
}
