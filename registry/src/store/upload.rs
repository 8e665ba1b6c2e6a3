//! One upload under way: a file that grows, and the hash of what is in it.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use oci::Digest;
use oci::digest::{Algorithm, Hasher};
use tokio::fs::OpenOptions;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::{Disk, blocking};

/// Bytes gathered before they are written: each write is a trip to another thread.
const BUFFER: usize = 512 * 1024;

/// An upload's bytes and their hash. Its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Upload {
    file: PathBuf,
    hasher: Hasher,
    received: u64,
}

/// Why bytes could not be added.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// The request's body broke off; what came of it is kept.
    Body(String),
    /// More came than may.
    TooLarge,
    /// The store failed.
    Store(io::Error),
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}

impl Upload {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, hasher: Hasher::new(), received: 0 }
    }

    /// How many bytes have come so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Adds a body's bytes, up to `limit` in all. Whoever drops this future half-way must drop the upload:
    /// its file and its hash may then differ.
    pub(crate) async fn append<S, E>(&mut self, mut body: S, limit: u64) -> Result<(), AppendError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::fmt::Display,
    {
        let file = OpenOptions::new().append(true).create(true).open(&self.file).await?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        let mut outcome = Ok(());
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) if self.received + chunk.len() as u64 > limit => {
                    outcome = Err(AppendError::TooLarge)
                }
                Ok(chunk) => {
                    file.write_all(&chunk).await?;
                    self.hasher.update(&chunk);
                    self.received += chunk.len() as u64;
                }
                Err(error) => outcome = Err(AppendError::Body(error.to_string())),
            }
            if outcome.is_err() {
                break;
            }
        }
        file.flush().await?;
        outcome
    }

    /// Ends the upload: its bytes become the blob `expected` of a repository. The inner error holds the
    /// digest that the bytes have instead.
    pub(crate) async fn commit(
        self,
        disk: &Disk,
        repository: &str,
        expected: &Digest,
    ) -> io::Result<Result<(), Digest>> {
        let found = match expected.algorithm() {
            Algorithm::Sha256 => self.hasher.clone().finish(),
            // Rare enough to read the file once more.
            algorithm => self.hashed(algorithm).await?,
        };
        if found != *expected {
            return Ok(Err(found));
        }
        let (disk, repository) = (disk.clone(), repository.to_owned());
        blocking(move || {
            if self.received == 0 {
                std::fs::File::create(&self.file)?;
            }
            disk.adopt(&self.file, &repository, &found)
        })
        .await
        .map(Ok)
    }

    async fn hashed(&self, algorithm: Algorithm) -> io::Result<Digest> {
        let file = self.file.clone();
        let received = self.received;
        blocking(move || {
            let mut hasher = Hasher::by(algorithm);
            if received > 0 {
                io::copy(&mut std::fs::File::open(file)?, &mut hasher)?;
            }
            Ok(hasher.finish())
        })
        .await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // After a commit, or before the first byte, there is no file: that is fine.
        let _ = std::fs::remove_file(&self.file);
    }
}
