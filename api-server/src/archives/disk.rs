//! The files. One is written under a temporary name, counted, hashed, synced and renamed: under its key a file is
//! complete and never changes.

use std::{
    io,
    path::{Path, PathBuf},
};

use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt as _,
};

use crate::store::{Archive, hex, new_id};

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

/// A file that is complete, as the store keeps it.
pub type Received = Archive;

/// Archives in a directory.
#[derive(Debug, Clone)]
pub struct Disk {
    directory: PathBuf,
}

impl Disk {
    /// Archives in this directory, made when it is not there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Where the archive of a key lies.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{key}.zip"))
    }

    /// Keeps exactly `bytes` bytes; of anything else nothing is left.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub async fn receive<B, E>(
        &self,
        bytes: u64,
        body: impl Stream<Item = Result<B, E>> + Unpin,
    ) -> Result<Received, ReceiveError>
    where
        B: AsRef<[u8]>,
    {
        let key = new_id();
        let temporary = self.directory.join(format!("{key}.part"));
        let digest = match write(&temporary, bytes, body).await {
            Ok(digest) => digest,
            Err(error) => {
                let _ = fs::remove_file(&temporary).await;
                return Err(error);
            }
        };
        fs::rename(&temporary, self.path(&key)).await?;
        File::open(&self.directory).await?.sync_all().await?;
        Ok(Archive { key, bytes, digest })
    }

    /// Removes an archive; one that is not there is no error.
    pub async fn remove(&self, key: &str) {
        if let Err(error) = fs::remove_file(self.path(key)).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(archive.key = %key, %error, "an archive could not be removed");
        }
    }

    /// Removes every file that is not one of these keys'. Only at start, when nobody uploads.
    pub async fn sweep(&self, needed: &[String]) {
        let Ok(mut entries) = fs::read_dir(&self.directory).await else { return };
        let needed: Vec<_> = needed.iter().map(|key| self.path(key)).collect();
        while let Ok(Some(entry)) = entries.next_entry().await {
            if !needed.contains(&entry.path()) {
                let _ = fs::remove_file(entry.path()).await;
            }
        }
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
