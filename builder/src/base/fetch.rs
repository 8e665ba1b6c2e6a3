//! Archives by their SHA-256: from the downloads folder, or from the first mirror that has the bytes that the lock names.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::Digest;

use super::mirrors::masked;
use super::{Archive, BaseError, BaseRequest, Lock, Locked, Mirrors, Progress};

/// Downloads at once.
const PARALLEL: usize = 4;
/// How often all mirrors are asked; failures of the network pass.
const ROUNDS: u32 = 2;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(500);
/// For a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the next bytes to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What one mirror answered.
enum Answer {
    /// All the bytes that the lock names.
    Right(Bytes),
    /// Something else, with this SHA-256.
    Other(String),
    /// Nothing usable; the reason.
    None(String),
}

/// All archives of a lock, in its order, verified.
pub(crate) fn all(lock: &Lock, request: &BaseRequest<'_>) -> Result<Vec<Bytes>, BaseError> {
    let mut archives: Vec<Option<Bytes>> =
        lock.packages.iter().map(|locked| downloaded(request.downloads, locked)).collect();
    let missing: Vec<usize> = (0..archives.len()).filter(|&i| archives[i].is_none()).collect();
    if !missing.is_empty() {
        let bytes = missing.iter().map(|&i| lock.packages[i].size).sum();
        (request.progress)(Progress::Fetching { files: missing.len(), bytes });
        for (i, bytes) in download(&lock.packages, &missing, request)? {
            archives[i] = Some(bytes);
        }
    }
    Ok(archives.into_iter().flatten().collect())
}

/// Puts an archive into the downloads folder.
pub(crate) fn keep(downloads: &Path, locked: &Locked, bytes: &[u8]) -> Result<(), BaseError> {
    let path = place(downloads, locked);
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(downloads)?;
        let mut file = tempfile::NamedTempFile::new_in(downloads)?;
        file.write_all(bytes)?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(BaseError::io(&path))
}

fn place(downloads: &Path, locked: &Locked) -> PathBuf {
    downloads.join(&locked.sha256)
}

/// From an earlier download; one that is damaged counts as none.
fn downloaded(downloads: &Path, locked: &Locked) -> Option<Bytes> {
    let bytes = fs::read(place(downloads, locked)).ok()?;
    (Digest::of(&bytes).hex() == locked.sha256).then(|| Bytes::from(bytes))
}

fn download(
    packages: &[Locked],
    missing: &[usize],
    request: &BaseRequest<'_>,
) -> Result<Vec<(usize, Bytes)>, BaseError> {
    let failed =
        |reason: String| BaseError::NotOnAnyMirror { file: packages[missing[0]].path.clone(), tried: reason };
    let client = reqwest::Client::builder()
        .user_agent(concat!("zipship/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|e| failed(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| failed(e.to_string()))?;
    runtime.block_on(
        stream::iter(missing)
            .map(|&i| {
                let (client, locked) = (&client, &packages[i]);
                async move {
                    let bytes = one(client, locked, request.mirrors, request.progress).await?;
                    keep(request.downloads, locked, &bytes)?;
                    (request.progress)(Progress::Fetched { name: &locked.name });
                    Ok((i, bytes))
                }
            })
            .buffer_unordered(PARALLEL)
            .try_collect(),
    )
}

async fn one(
    client: &reqwest::Client,
    locked: &Locked,
    mirrors: &Mirrors,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Bytes, BaseError> {
    let (mirrors, kind, flag) = match locked.archive {
        Archive::Deb => (mirrors.debian(), "Debian", "--debian-mirror"),
        Archive::Npm => (mirrors.npm(), "npm", "--npm-registry"),
    };
    if mirrors.is_empty() {
        return Err(BaseError::NoMirror { kind, file: locked.path.clone(), flag });
    }
    let (mut tried, mut other) = (Vec::new(), None);
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
            tried.clear();
        }
        for mirror in mirrors {
            match ask(client, mirror, locked, progress).await {
                Answer::Right(bytes) => return Ok(bytes),
                Answer::Other(found) => other = Some(found),
                Answer::None(reason) => tried.push(format!("{}: {reason}", masked(mirror))),
            }
        }
    }
    Err(match other {
        Some(found) => {
            BaseError::Changed { package: locked.name.clone(), expected: locked.sha256.clone(), found }
        }
        None => BaseError::NotOnAnyMirror { file: locked.path.clone(), tried: tried.join(", ") },
    })
}

async fn ask(
    client: &reqwest::Client,
    mirror: &str,
    locked: &Locked,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Answer {
    let mut response = match client.get(format!("{mirror}/{}", locked.path)).send().await {
        Ok(response) if response.status().is_success() => response,
        Ok(response) => return Answer::None(response.status().to_string()),
        Err(error) => return Answer::None(root_cause(&error.without_url())),
    };
    let mut bytes = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                progress(Progress::Received { bytes: chunk.len() as u64 });
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > locked.size {
                    return Answer::Other(format!("more than the {} bytes of the lock", locked.size));
                }
            }
            Ok(None) => break,
            Err(error) => return Answer::None(root_cause(&error.without_url())),
        }
    }
    let found = Digest::of(&bytes);
    if found.hex() == locked.sha256 {
        Answer::Right(bytes.freeze())
    } else {
        Answer::Other(found.hex().to_owned())
    }
}

/// The innermost reason: the outer ones say only that sending failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
