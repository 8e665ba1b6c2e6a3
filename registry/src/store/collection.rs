//! A collection under way: what requests touch meanwhile stays.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use oci::Digest;
use oci::digest::Algorithm;

use super::Disk;
use super::disk::{BLOBS, MANIFESTS, found, named};

/// Between requests and a collection. Requests share it for the moment of a file operation.
#[derive(Debug, Default)]
pub(super) struct Guard {
    removing: RwLock<()>,
    /// What requests touched; `None` while nothing is collected.
    touched: Mutex<Option<HashSet<Digest>>>,
    /// One collection at a time.
    collecting: Mutex<()>,
}

impl Guard {
    /// Keeps a digest's files until the value is dropped, and for the rest of a collection under way.
    pub(super) fn touch(&self, digest: &Digest) -> RwLockReadGuard<'_, ()> {
        // Nothing is changed under these locks that a panic could leave half-done.
        let kept = self.removing.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(touched) = self.touched().as_mut() {
            touched.insert(digest.clone());
        }
        kept
    }

    fn touched(&self) -> MutexGuard<'_, Option<HashSet<Digest>>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes files that no request has touched since it began.
pub(crate) struct Collection<'a> {
    disk: &'a Disk,
    _alone: MutexGuard<'a, ()>,
}

impl Drop for Collection<'_> {
    fn drop(&mut self) {
        *self.disk.guard.touched() = None;
    }
}

impl Collection<'_> {
    /// Takes a blob out of a repository. `false`: it was touched, or is gone.
    pub(crate) fn unlink(&self, repository: &str, digest: &Digest) -> io::Result<bool> {
        let link = self.disk.repository(repository)?.join(BLOBS).join(digest.hex());
        self.remove_file(digest, &link)
    }

    /// Takes a manifest out of a repository. `false`: it was touched, or is gone.
    pub(crate) fn remove_manifest(&self, repository: &str, digest: &Digest) -> io::Result<bool> {
        let link = self.disk.repository(repository)?.join(MANIFESTS).join(digest.hex());
        self.remove_file(digest, &link)
    }

    /// Takes a tag away that still points to this digest. `false`: it points elsewhere, or is gone.
    pub(crate) fn remove_tag(&self, repository: &str, tag: &str, digest: &Digest) -> io::Result<bool> {
        // Whoever moves a tag holds the other side of this lock.
        let _alone = self.disk.guard.removing.write().unwrap_or_else(PoisonError::into_inner);
        match self.disk.tag(repository, tag)? {
            Some(now) if now == *digest => self.disk.delete_tag(repository, tag),
            _ => Ok(false),
        }
    }

    /// Removes content. `false`: it was touched, or is gone.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<bool> {
        self.remove_file(digest, &self.disk.content(digest))
    }

    fn remove_file(&self, digest: &Digest, path: &Path) -> io::Result<bool> {
        let _alone = self.disk.guard.removing.write().unwrap_or_else(PoisonError::into_inner);
        if self.disk.guard.touched().as_ref().is_some_and(|touched| touched.contains(digest)) {
            return Ok(false);
        }
        Ok(found(fs::remove_file(path))?.is_some())
    }
}

impl Disk {
    /// Begins a collection; waits until another one has ended.
    pub(crate) fn begin_collection(&self) -> Collection<'_> {
        let alone = self.guard.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        *self.guard.touched() = Some(HashSet::new());
        Collection { disk: self, _alone: alone }
    }

    /// The names of all repositories.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn repositories(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let (root, _) = self.places(Algorithm::Sha256);
        below(&root, "", &mut names)?;
        names.sort_unstable();
        Ok(names)
    }

    /// The names of the repositories whose first component is this one.
    pub(crate) fn repositories_of(&self, namespace: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        below(&self.repository(namespace)?, namespace, &mut names)?;
        Ok(names)
    }

    /// How many bytes content has; `None` when it is gone.
    pub(crate) fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        Ok(found(fs::metadata(self.content(digest)))?.map(|about| about.len()))
    }

    /// The digests that a repository's tags point to.
    pub(crate) fn tagged(&self, repository: &str) -> io::Result<Vec<Digest>> {
        let tags = self.tags(repository)?;
        tags.iter().filter_map(|tag| self.tag(repository, tag).transpose()).collect()
    }

    /// A repository's blobs, and since when they are visible there.
    pub(crate) fn links(&self, repository: &str) -> io::Result<Vec<(Digest, SystemTime)>> {
        let files = files(&self.repository(repository)?.join(BLOBS))?;
        files.into_iter().map(|(name, about)| Ok((named(&name)?, about.modified()?))).collect()
    }

    /// A repository's manifests.
    pub(crate) fn manifests(&self, repository: &str) -> io::Result<Vec<Digest>> {
        Ok(self.manifests_since(repository)?.into_iter().map(|(digest, _)| digest).collect())
    }

    /// A repository's manifests, and when each was last stored.
    pub(crate) fn manifests_since(&self, repository: &str) -> io::Result<Vec<(Digest, SystemTime)>> {
        let files = files(&self.repository(repository)?.join(MANIFESTS))?;
        files.into_iter().map(|(name, about)| Ok((named(&name)?, about.modified()?))).collect()
    }

    /// All content: its digest, its size in bytes, and since when it is there.
    pub(crate) fn contents(&self) -> io::Result<Vec<(Digest, u64, SystemTime)>> {
        let mut all = Vec::new();
        for algorithm in Algorithm::ALL {
            for (name, about) in files(&self.places(algorithm).1)? {
                all.push((named(&name)?, about.len(), about.modified()?));
            }
        }
        Ok(all)
    }
}

/// Repositories below a directory: those that have blobs or manifests.
fn below(directory: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    let Some(entries) = found(fs::read_dir(directory))? else { return Ok(()) };
    let mut is_repository = false;
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('_') {
            is_repository |= name == BLOBS || name == MANIFESTS;
        } else if entry.file_type()?.is_dir() {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            below(&entry.path(), &path, names)?;
        }
    }
    if is_repository {
        names.push(prefix.to_owned());
    }
    Ok(())
}

/// Names and metadata of a directory's files; one that went meanwhile is left out.
fn files(directory: &Path) -> io::Result<Vec<(String, fs::Metadata)>> {
    let Some(entries) = found(fs::read_dir(directory))? else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let (Ok(name), Some(about)) = (entry.file_name().into_string(), found(entry.metadata())?) {
            files.push((name, about));
        }
    }
    Ok(files)
}
