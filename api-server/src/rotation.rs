//! Rotation of the key that seals what is stored, beside a server that runs or without one.
//!
//! 1. A new key comes first into the key file; the old one stays in it. Killed after this, the next rotation goes on
//!    here and adds none.
//! 2. Every sealed value is sealed with the new key, some in a transaction. Writers look at the key file inside
//!    their transactions (`Store::write`), and all writes go one after the other. So those before the first of these
//!    transactions have committed, and are seen by it; those after it seal with the new key.
//! 3. Once no value has another key, the others leave the file. Whoever still holds one in memory holds it for an
//!    hour at most, for presigned URLs.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    effect::effect,
    secrets::{KeyFileError, KeyId},
    store::{SEALED, Store, StoreError},
};

/// Between two transactions: others that write come in.
const PAUSE: Duration = Duration::from_millis(5);

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The key that seals now.
    pub key: KeyId,
    /// Those that left the key file.
    pub removed: Vec<KeyId>,
    /// Values that were sealed anew.
    pub values: u64,
    /// It went on with a rotation that had not ended, and made no key of its own.
    pub resumed: bool,
}

/// Why a rotation did not end. What it did until then is good: the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else is at it.
    #[error("another rotation of these keys, or a backup, is under way: wait until it has ended")]
    Busy,
    /// The lock beside the key file.
    #[error("{path} cannot be locked: {source}")]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A value came with an old key after all.
    #[error(
        "values were sealed with the old key meanwhile: is another zipship at work on this database? The old key was kept"
    )]
    Overtaken,
}

/// Seals everything in the store with a new key, and forgets the old one.
///
/// # Errors
/// [`RotationError`].
pub async fn rotate(store: &Store) -> Result<Rotated, RotationError> {
    let keys = store.sealer().keys();
    let _alone = lock(keys.path())?;
    // As whoever held the lock before has left it.
    keys.refresh()?;
    let resumed = keys.ids().len() > 1;
    if !resumed {
        effect("keys.add", async { keys.add() }).await?;
    }
    let mut values = 0;
    for column in SEALED {
        let mut after = String::new();
        loop {
            let resealed = store.reseal(column, &after).await?;
            values += resealed.values;
            let Some(last) = resealed.last else { break };
            after = last;
            tokio::time::sleep(PAUSE).await;
        }
    }
    if store.has_values_of_old_keys().await? {
        return Err(RotationError::Overtaken);
    }
    let removed = effect("keys.remove", async { keys.remove_old() }).await?;
    Ok(Rotated { key: keys.current().id(), removed, values, resumed })
}

/// While it is held, the keys in the file stay the same.
///
/// # Errors
/// [`RotationError::Busy`], [`RotationError::Lock`].
pub fn lock(key_file: &Path) -> Result<File, RotationError> {
    let path = key_file.with_extension("lock");
    let file = File::options().create(true).append(true).open(&path);
    let locked =
        file.and_then(|file| Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).map(|()| file)?));
    locked.map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => RotationError::Busy,
        _ => RotationError::Lock { path, source },
    })
}
