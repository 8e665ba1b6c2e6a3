//! One upload under way: a file that grows, and the hash of what is in it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use oci::Digest;
use oci::digest::{Algorithm, Hasher};
use tokio::fs::OpenOptions;
use tokio::io::{AsyncWriteExt, BufWriter};
use uuid::Uuid;

use super::disk::found;
use super::sessions::IDLE;
use super::{Disk, blocking};

/// What the file that tells whose an upload is ends with.
const OWNER: &str = "owner";
/// Bytes gathered before they are written: each write is a trip to another thread.
const BUFFER: usize = 512 * 1024;

/// An upload's bytes and their hash. Its files go when it is dropped, unless they are left for the next process.
#[derive(Debug)]
pub(crate) struct Upload {
    file: PathBuf,
    left: bool,
    /// `None` after a restart, until the file was read again.
    hasher: Option<Hasher>,
    received: u64,
    /// How many bytes it may become, once that was asked.
    pub(crate) room: Option<u64>,
}

/// An upload that an earlier process left.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) id: Uuid,
    pub(super) repository: String,
    pub(super) received: u64,
    pub(super) touched: SystemTime,
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
        Self { file, left: false, hasher: Some(Hasher::new()), received: 0, room: None }
    }

    /// One whose file has `received` bytes already.
    pub(super) fn resumed(file: PathBuf, received: u64) -> Self {
        Self { file, left: false, hasher: (received == 0).then(Hasher::new), received, room: None }
    }

    /// Leaves the files for the next process.
    pub(super) fn leave(mut self) {
        self.left = true;
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
        let mut hasher = self.hasher().await?;
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
                    hasher.update(&chunk);
                    self.received += chunk.len() as u64;
                }
                Err(error) => outcome = Err(AppendError::Body(error.to_string())),
            }
            if outcome.is_err() {
                break;
            }
        }
        file.flush().await?;
        self.hasher = Some(hasher);
        outcome
    }

    /// The hash of what is in the file; taken out, so that it can't be ahead of a file whose write failed.
    async fn hasher(&mut self) -> io::Result<Hasher> {
        match self.hasher.take() {
            Some(hasher) => Ok(hasher),
            None => self.read(Algorithm::Sha256).await,
        }
    }

    /// The digest of the bytes, by the algorithm of `expected`.
    pub(crate) async fn digest(&mut self, expected: &Digest) -> io::Result<Digest> {
        match expected.algorithm() {
            Algorithm::Sha256 => Ok(self.hasher().await?.finish()),
            // Rare enough to read the file once more.
            algorithm => Ok(self.read(algorithm).await?.finish()),
        }
    }

    /// Ends the upload: its bytes become the blob `digest`, which they must have, of a repository. Blocks.
    pub(crate) fn adopt(self, disk: &Disk, repository: &str, digest: &Digest) -> io::Result<()> {
        if self.received == 0 {
            fs::File::create(&self.file)?;
        }
        disk.adopt(&self.file, repository, digest)
    }

    async fn read(&self, algorithm: Algorithm) -> io::Result<Hasher> {
        let file = self.file.clone();
        let received = self.received;
        blocking(move || {
            let mut hasher = Hasher::by(algorithm);
            if received > 0 {
                io::copy(&mut fs::File::open(file)?, &mut hasher)?;
            }
            Ok(hasher)
        })
        .await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // After a commit, or before the first byte, there is no file: that is fine.
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_file(self.file.with_extension(OWNER));
    }
}

impl Disk {
    /// Notes whose an upload is.
    pub(super) fn begin_upload(&self, id: Uuid, repository: &str) -> io::Result<()> {
        fs::write(self.upload_path(id).with_extension(OWNER), repository)
    }

    /// The uploads that an earlier process left. What is too old, or nobody's, is removed.
    pub(super) fn unfinished_uploads(&self) -> io::Result<Vec<Unfinished>> {
        let mut unfinished = Vec::new();
        for entry in fs::read_dir(self.uploads())? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|name| Uuid::parse_str(name.to_str()?).ok());
            match id.map(|id| self.unfinished(id)).transpose()?.flatten() {
                Some(_) if path.extension().is_none() => {}
                Some(left) => unfinished.push(left),
                // Both its files: one alone could look young.
                None => {
                    found(fs::remove_file(path.with_extension("")))?;
                    found(fs::remove_file(path.with_extension(OWNER)))?;
                }
            }
        }
        Ok(unfinished)
    }

    fn unfinished(&self, id: Uuid) -> io::Result<Option<Unfinished>> {
        let path = self.upload_path(id);
        let owner = path.with_extension(OWNER);
        let Some(repository) = found(fs::read_to_string(&owner))? else { return Ok(None) };
        let bytes = found(fs::metadata(&path))?;
        let about = match &bytes {
            Some(bytes) => bytes.clone(),
            None => fs::metadata(&owner)?,
        };
        let touched = about.modified()?;
        let young = touched.elapsed().is_ok_and(|age| age < IDLE);
        // A name that was not written whole fits no request and goes with its age.
        Ok(young.then(|| Unfinished {
            id,
            repository,
            received: bytes.map_or(0, |bytes| bytes.len()),
            touched,
        }))
    }
}
