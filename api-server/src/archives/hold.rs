//! While a backup takes the database and then the archives that it names, none of these is removed.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// Keeps all archives of a directory until it is dropped, also those that another process would remove.
///
/// # Errors
/// The lock beside the directory.
pub fn hold(directory: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).open(lock(directory))?;
    // Whoever removes one holds it for a moment.
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Leave to remove archives until it is dropped; `None` while somebody holds them.
pub(super) fn leave_to_remove(directory: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).append(true).open(lock(directory))?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn lock(directory: &Path) -> PathBuf {
    directory.with_extension("hold")
}
