//! A backup of the embedded state beside a server that runs, and its way back.
//!
//! [`back_up`], with nothing of the server's held for longer than the second step takes:
//!
//! 1. One backup at a time, and no rotation of keys meanwhile: the key file and what is sealed belong together.
//! 2. `snapshot`: the database first, then hard links to all files. What a row names was there before the row: an archive
//!    lies under its key before its upload is written down, an image is pushed before its revision. So all that the
//!    database's copy names is found afterwards, unless it was removed in between. Archives are not removed
//!    while this goes on (`archives::Disk::remove`); of images it is looked whether each that serves is whole, and if not
//!    the step is done again. Of a repository what points comes before what it points to.
//! 3. `pack`: the links are read at leisure, into one tar file with a manifest of all sizes and digests as its end.
//!
//! [`unpack`] reads such a file into a directory of its own; only what is whole is put in the server's place
//! (`zipship restore`).

mod manifest;
mod pack;
mod snapshot;
mod unpack;

use std::{fs::File, io, path::PathBuf};

pub use manifest::{Manifest, Packed};
pub use pack::Progress;
pub use snapshot::clean;
pub use unpack::{UnpackError, unpack};

use crate::{
    Config,
    effect::effect,
    rotation::{self, RotationError},
    store::{Store, StoreError},
};

/// What a backup holds beside the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFile {
    /// The key file: whoever has the backup can read its secrets.
    With,
    /// No key file: without the one that is kept elsewhere the secrets are lost.
    Without,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys are being rotated.
    #[error(transparent)]
    Keys(#[from] RotationError),
    /// Another backup is under way.
    #[error("another backup of this server is under way")]
    Busy,
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The backup itself cannot be written.
    #[error("the backup cannot be written: {0}")]
    Output(#[source] io::Error),
}

/// Writes a backup of a server's state to `output`, which is not flushed to the disk. Blocks for long.
///
/// # Errors
/// [`BackupError`]; what was written until then is no backup.
pub async fn back_up(
    config: &Config,
    store: &Store,
    keys: KeyFile,
    output: File,
    progress: Progress<'_>,
) -> Result<Manifest, BackupError> {
    let staging = snapshot::Staging::open(config)?;
    let mut manifest = {
        let _same_keys = rotation::lock(&config.key_file())?;
        effect("backup.snapshot", snapshot::take(config, store, keys, &staging)).await?
    };
    effect("backup.pack", async { pack::pack(staging.path(), &mut manifest, output, progress) }).await?;
    staging.remove()?;
    Ok(manifest)
}

fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.into();
    move |source| BackupError::File { path, source }
}
