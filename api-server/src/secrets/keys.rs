//! The keys of the key file, as a process holds them.
//!
//! A rotation (`rotation.rs`) changes the file beside a server that runs. So whoever writes looks, inside the write's
//! transaction, whether the file is still the one it has read ([`Keys::refresh`]), and whoever finds a value of a key
//! that he does not have reads the file again. A key that has left the file is still held for a while: for what
//! was read from the store just before, and for URLs that were given out.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{
    KeyId,
    key::MasterKey,
    keyfile::{self, KeyFileError, Stamp},
};

/// How long a key is held that has left the file: as long as a presigned URL is good for.
const HELD_AFTER: Duration = Duration::from_secs(3600);

/// The keys of one key file. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Keys(Arc<Shared>);

struct Shared {
    path: PathBuf,
    held: RwLock<Held>,
}

struct Held {
    stamp: Option<Stamp>,
    /// Those of the file, the one that seals first.
    keys: Vec<Arc<MasterKey>>,
    /// Those that have left it, and when.
    left: Vec<(Instant, Arc<MasterKey>)>,
}

impl Keys {
    /// Reads the key file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let (stamp, keys) = keyfile::read(path)?;
        Ok(Self::holding(path, Some(stamp), keys))
    }

    /// Reads the key file, or makes it when there is none. For a place that has no store yet: a store is opened
    /// with [`Keys::load_or_prepare`].
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        let keys = Self::load_or_prepare(path)?;
        keys.keep()?;
        Ok(keys)
    }

    /// Reads the key file; when there is none, a new key that is in no file until [`Keys::keep`].
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load_or_prepare(path: &Path) -> Result<Self, KeyFileError> {
        match Self::load(path) {
            Err(KeyFileError::Missing { .. }) => {
                let new = MasterKey::random().ok_or(KeyFileError::NoRandom)?;
                Ok(Self::holding(path, None, vec![new]))
            }
            loaded => loaded,
        }
    }

    /// Writes a prepared key to its file; does nothing to a file that was read.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn keep(&self) -> Result<(), KeyFileError> {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.stamp.is_none() {
            held.stamp = Some(keyfile::replace(&self.0.path, held.keys.iter().map(Arc::as_ref))?);
        }
        Ok(())
    }

    fn holding(path: &Path, stamp: Option<Stamp>, keys: Vec<MasterKey>) -> Self {
        let keys = keys.into_iter().map(Arc::new).collect();
        let held = RwLock::new(Held { stamp, keys, left: Vec::new() });
        Self(Arc::new(Shared { path: path.to_owned(), held }))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Reads the file again when it was replaced. A file that is gone changes nothing: what is held is what it had.
    ///
    /// # Errors
    /// [`KeyFileError`]: then what is sealed might not open later, and nothing may be sealed.
    pub fn refresh(&self) -> Result<(), KeyFileError> {
        let found = keyfile::stamp(&self.0.path)?;
        if found.is_none() || found == self.read(|held| held.stamp) {
            return Ok(());
        }
        let (stamp, keys) = keyfile::read(&self.0.path)?;
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        held.replace(stamp, keys, Instant::now());
        Ok(())
    }

    /// Ids of the keys in the file, the one that seals first.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.read(|held| held.keys.iter().map(|key| key.id()).collect())
    }

    /// Makes a new key the one that seals; the others stay.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub(crate) fn add(&self) -> Result<(), KeyFileError> {
        let new = Arc::new(MasterKey::random().ok_or(KeyFileError::NoRandom)?);
        let keys = self.read(|held| held.keys.clone());
        self.put(std::iter::once(new).chain(keys).collect())
    }

    /// Takes all keys but the one that seals out of the file. Answers their ids.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub(crate) fn remove_old(&self) -> Result<Vec<KeyId>, KeyFileError> {
        let mut keys = self.read(|held| held.keys.clone());
        let old = keys.split_off(1);
        self.put(keys)?;
        Ok(old.iter().map(|key| key.id()).collect())
    }

    /// Replaces the file, and holds what is in it then.
    fn put(&self, keys: Vec<Arc<MasterKey>>) -> Result<(), KeyFileError> {
        keyfile::replace(&self.0.path, keys.iter().map(Arc::as_ref))?;
        self.refresh()
    }

    /// The key that seals.
    pub(crate) fn current(&self) -> Arc<MasterKey> {
        self.read(|held| Arc::clone(&held.keys[0]))
    }

    /// Every key that is good, the one that seals first.
    pub(crate) fn good(&self) -> Vec<Arc<MasterKey>> {
        self.read(|held| held.good(Instant::now()).cloned().collect())
    }

    /// The key of an id, also one that came into the file since it was read.
    pub(super) fn of(&self, id: KeyId) -> Option<Arc<MasterKey>> {
        let find = |held: &Held| held.good(Instant::now()).find(|key| key.id() == id).cloned();
        let found = self.read(find);
        if found.is_some() {
            return found;
        }
        if let Err(error) = self.refresh() {
            tracing::error!(%error, "the key file was replaced and cannot be read");
        }
        self.read(find)
    }

    fn read<T>(&self, look: impl FnOnce(&Held) -> T) -> T {
        look(&self.0.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Held {
    fn good(&self, now: Instant) -> impl Iterator<Item = &Arc<MasterKey>> {
        let left = self.left.iter().filter(move |(since, _)| now.duration_since(*since) < HELD_AFTER);
        self.keys.iter().chain(left.map(|(_, key)| key))
    }

    fn replace(&mut self, stamp: Stamp, keys: Vec<MasterKey>, now: Instant) {
        let before = std::mem::replace(&mut self.keys, keys.into_iter().map(Arc::new).collect());
        self.left.extend(before.into_iter().map(|key| (now, key)));
        let keys = &self.keys;
        self.left.retain(|(since, left)| {
            now.duration_since(*since) < HELD_AFTER && keys.iter().all(|key| key.id() != left.id())
        });
        self.stamp = Some(stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().join("key")
    }

    #[test]
    fn the_key_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let made = Keys::load_or_create(&path(&directory)).unwrap().ids();
        assert_eq!(Keys::load_or_create(&path(&directory)).unwrap().ids(), made);
        assert!(matches!(Keys::load(&directory.path().join("other")), Err(KeyFileError::Missing { .. })));
    }

    #[test]
    fn a_prepared_key_is_in_no_file_until_it_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_prepare(&path(&directory)).unwrap();
        assert!(!path(&directory).exists());
        keys.keep().unwrap();
        assert_eq!(Keys::load(&path(&directory)).unwrap().ids(), keys.ids());
    }

    #[test]
    fn another_process_sees_a_key_that_comes_and_holds_one_that_goes_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, theirs) = (
            Keys::load_or_create(&path(&directory)).unwrap(),
            Keys::load_or_create(&path(&directory)).unwrap(),
        );
        let old = ours.current().id();
        ours.add().unwrap();
        let new = ours.current().id();
        assert_eq!(theirs.current().id(), old);
        assert!(theirs.of(new).is_some());
        assert_eq!(theirs.ids(), [new, old]);
        assert_eq!(ours.remove_old().unwrap(), [old]);
        theirs.refresh().unwrap();
        assert_eq!(theirs.ids(), [new]);
        assert!(theirs.of(old).is_some(), "values read before still open");
        assert!(Keys::load(&path(&directory)).unwrap().of(old).is_none(), "a new process has it no more");
        let later = Instant::now() + HELD_AFTER;
        assert!(theirs.read(|held| held.good(later).all(|key| key.id() != old)));
    }

    #[test]
    fn a_file_that_is_gone_changes_nothing_and_one_that_is_broken_stops_writes() {
        let directory = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(&path(&directory)).unwrap();
        std::fs::rename(path(&directory), directory.path().join("away")).unwrap();
        keys.refresh().unwrap();
        assert_eq!(keys.ids().len(), 1);
        std::fs::write(path(&directory), "no key").unwrap();
        assert!(keys.refresh().is_err());
        assert_eq!(keys.ids().len(), 1);
    }
}
