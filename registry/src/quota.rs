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
    /// Whether `bytes` more fit into a repository's namespace, as far as one can say before they have come.
    /// `digest`: what they are; content that the namespace has already adds nothing.
    pub(crate) async fn has_room(
        &self,
        repository: &str,
        digest: Option<&Digest>,
        bytes: u64,
    ) -> Result<(), Refusal> {
        let Some(quota) = self.authorize.quota(repository) else { return Ok(()) };
        let (store, namespace) = (self.store.clone(), namespace(repository).to_owned());
        let held = blocking(move || held(&store, &namespace)).await?;
        fits(&held, repository, digest, bytes, quota)
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
        match fits(&held, repository, Some(digest), bytes, quota) {
            Ok(()) => add().map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }
}

fn fits(
    held: &HashMap<Digest, u64>,
    repository: &str,
    digest: Option<&Digest>,
    bytes: u64,
    quota: u64,
) -> Result<(), Refusal> {
    let used: u64 = held.values().sum();
    let known = digest.is_some_and(|digest| held.contains_key(digest));
    if known || used.saturating_add(bytes) <= quota {
        return Ok(());
    }
    Err(Refusal::over_quota(namespace(repository), used, bytes, quota))
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
