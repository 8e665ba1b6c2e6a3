//! What a namespace, the first component of its repositories' names, may hold. Content counts once, however many of
//! its repositories link it, and also when another namespace has it too.

use std::collections::HashMap;
use std::io;
use std::sync::PoisonError;

use oci::Digest;

use crate::Registry;
use crate::error::Refusal;
use crate::store::{Disk, blocking};

impl Registry {
    /// How many bytes more a repository's namespace has room for, before they have come. `digest`: what they are;
    /// content that the namespace has already is bounded by nothing here.
    pub(crate) async fn room(&self, repository: &str, digest: Option<&Digest>) -> Result<u64, Refusal> {
        let Some(quota) = self.authorize.quota(repository) else { return Ok(u64::MAX) };
        let (store, namespace) = (self.store.clone(), namespace(repository).to_owned());
        let held = blocking(move || held(&store, &namespace)).await?;
        Ok(left(&held, digest, quota))
    }

    /// That there is room for `left` bytes only.
    pub(crate) fn over_quota(&self, repository: &str, left: u64, bytes: u64) -> Refusal {
        let quota = self.authorize.quota(repository).unwrap_or(left);
        Refusal::over_quota(namespace(repository), left, bytes, quota)
    }

    /// Runs `add`, which makes content visible in a repository, when its namespace has room for it. Blocks. The outer
    /// error is the store's.
    pub(crate) fn within_quota(
        &self,
        repository: &str,
        digest: &Digest,
        bytes: u64,
        add: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Result<(), Refusal>> {
        let Some(quota) = self.authorize.quota(repository) else { return add().map(Ok) };
        // One after the other: two that each have room may not have it together. It guards no data of its own.
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held(&self.store, namespace(repository))?;
        match left(&held, Some(digest), quota) {
            left if bytes > left => Ok(Err(self.over_quota(repository, left, bytes))),
            _ => add().map(Ok),
        }
    }
}

fn left(held: &HashMap<Digest, u64>, digest: Option<&Digest>, quota: u64) -> u64 {
    if digest.is_some_and(|digest| held.contains_key(digest)) {
        return u64::MAX;
    }
    quota.saturating_sub(held.values().sum())
}

fn namespace(repository: &str) -> &str {
    repository.split('/').next().unwrap_or(repository)
}

/// What the repositories of a namespace hold, and its size in bytes.
fn held(store: &Disk, namespace: &str) -> io::Result<HashMap<Digest, u64>> {
    let mut held = HashMap::new();
    for repository in store.repositories_of(namespace)? {
        let blobs = store.links(&repository)?.into_iter().map(|(digest, _)| digest);
        for digest in blobs.chain(store.manifests(&repository)?) {
            if let std::collections::hash_map::Entry::Vacant(entry) = held.entry(digest)
                && let Some(bytes) = store.size(entry.key())?
            {
                entry.insert(bytes);
            }
        }
    }
    Ok(held)
}
