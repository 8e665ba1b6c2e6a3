//! The files. One is written under a temporary name, counted, hashed, synced and renamed: under its key a file is
//! complete and never changes.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt as _,
};

use super::{Kept, hold::leave_to_remove};
use crate::store::{Archive, hex, new_id};

/// Ends of names: an archive, and one that is being written.
const ARCHIVE: &str = ".zip";
const PART: &str = ".part";

/// Why an upload was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Another length than announced.
    #[error("{announced} bytes were announced; {found} came")]
    Length {
        /// Bytes of the URL.
        announced: u64,
        /// Bytes that came, or as many as were counted when it was given up.
        found: u64,
    },
    /// The caller went away.
    #[error("the upload broke off")]
    Broken,
    /// The disk.
    #[error("the archive cannot be kept: {0}")]
    Io(#[from] io::Error),
}

/// Archives in a directory.
#[derive(Debug, Clone)]
pub struct Disk {
    directory: PathBuf,
}

/// A file that is complete and has no key yet. Dropped, it goes.
#[derive(Debug)]
pub struct Part<'a> {
    disk: &'a Disk,
    archive: Archive,
    file: Temporary,
}

/// A file that goes with this value, also when whoever wrote it went away.
#[derive(Debug)]
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Renamed, mostly.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Part<'_> {
    /// Gives the file its name. What is under its key from now on is to be written down, see
    /// [`super::Placing`].
    ///
    /// # Errors
    /// The disk's.
    pub async fn place(self) -> io::Result<Archive> {
        fs::rename(&self.file.0, self.disk.path(&self.archive.key)).await?;
        File::open(&self.disk.directory).await?.sync_all().await?;
        Ok(self.archive)
    }
}

impl Disk {
    /// Archives in this directory, made when it is not there, for this process alone: what a dead one was writing goes.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(PART) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self { directory: directory.to_owned() })
    }

    /// Where the archive of a key lies.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{key}{ARCHIVE}"))
    }

    /// Takes exactly `bytes` bytes; of anything else nothing is left.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub async fn receive<B, E>(
        &self,
        bytes: u64,
        body: impl Stream<Item = Result<B, E>> + Unpin,
    ) -> Result<Part<'_>, ReceiveError>
    where
        B: AsRef<[u8]>,
    {
        let key = new_id();
        let file = Temporary(self.directory.join(format!("{key}{PART}")));
        let digest = write(&file.0, bytes, body).await?;
        Ok(Part { disk: self, archive: Archive { key, bytes, digest }, file })
    }

    /// Removes an archive; one that is not there is no error.
    ///
    /// # Errors
    /// The disk's; [`io::ErrorKind::WouldBlock`] while a backup takes the archives: it is collected later.
    pub(super) async fn remove(&self, key: &str) -> io::Result<()> {
        let Some(_leave) = leave_to_remove(&self.directory)? else {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "a backup takes the archives"));
        };
        match fs::remove_file(self.path(key)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All archives. What is being written is its writer's.
    pub(super) async fn list(&self) -> io::Result<Vec<Kept>> {
        let mut entries = fs::read_dir(&self.directory).await?;
        let mut kept = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Some(key) = name.strip_suffix(ARCHIVE).map(str::to_owned) else { continue };
            let about = match entry.metadata().await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                about => about?,
            };
            let age = about.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let since = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            kept.push(Kept { key, since, bytes: about.len() });
        }
        Ok(kept)
    }
}

async fn write<B: AsRef<[u8]>, E>(
    path: &Path,
    announced: u64,
    mut body: impl Stream<Item = Result<B, E>> + Unpin,
) -> Result<String, ReceiveError> {
    let mut file = File::create_new(path).await?;
    let mut hasher = Sha256::new();
    let mut found = 0;
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else { return Err(ReceiveError::Broken) };
        let piece = piece.as_ref();
        found += piece.len() as u64;
        if found > announced {
            return Err(ReceiveError::Length { announced, found });
        }
        hasher.update(piece);
        file.write_all(piece).await?;
    }
    if found != announced {
        return Err(ReceiveError::Length { announced, found });
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok(hex(&hasher.finalize()))
}
