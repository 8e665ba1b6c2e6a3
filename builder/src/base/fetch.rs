//! Archives by their SHA-256: from the downloads folder, or from the first mirror that has the bytes that the lock names.
//!
//! Offline when the folder has all of them.

mod index;
mod transfer;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::Digest;

use super::mirrors::masked;
use super::{Archive, BaseError, Lock, Locked, Mirrors, Progress};
use transfer::{Answer, Part};

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

/// Where archives are kept, and where missing ones come from.
#[derive(Clone, Copy)]
pub struct Downloads<'a> {
    /// The folder that has them by their SHA-256.
    pub folder: &'a Path,
    /// Asked for what it does not have.
    pub mirrors: &'a Mirrors,
    /// Told about every step.
    pub progress: &'a (dyn Fn(Progress<'_>) + Sync),
}

/// All archives of a lock, in its order, verified.
pub(crate) fn all(lock: &Lock, from: Downloads<'_>) -> Result<Vec<Bytes>, BaseError> {
    let mut archives: Vec<Option<Bytes>> =
        lock.packages.iter().map(|locked| downloaded(from.folder, locked)).collect();
    let missing: Vec<usize> = (0..archives.len()).filter(|&i| archives[i].is_none()).collect();
    if !missing.is_empty() {
        let bytes = missing.iter().map(|&i| lock.packages[i].size).sum();
        (from.progress)(Progress::Fetching { files: missing.len(), bytes });
        for (i, bytes) in download(&lock.packages, &missing, from)? {
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
        // As readable as any other file: the folder may be shared by users of this machine.
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(downloads)?;
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
    from: Downloads<'_>,
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
                    let bytes = one(client, locked, from).await?;
                    keep(from.folder, locked, &bytes)?;
                    (from.progress)(Progress::Fetched { name: &locked.name });
                    Ok((i, bytes))
                }
            })
            .buffer_unordered(PARALLEL)
            .try_collect(),
    )
}

async fn one(client: &reqwest::Client, locked: &Locked, from: Downloads<'_>) -> Result<Bytes, BaseError> {
    let (mirrors, kind, flag) = mirrors_of(locked.archive, from.mirrors);
    if mirrors.is_empty() {
        return Err(BaseError::NoMirror { kind, file: locked.path.clone(), flag });
    }
    let mut part = Part::open(from.folder.join(format!("{}.part", locked.sha256)), locked);
    let (mut tried, mut other) = (Vec::new(), None);
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
            tried.clear();
        }
        for mirror in mirrors {
            match ask(client, mirror, locked, &mut part, from.progress).await {
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

/// The mirrors that have a kind of archive, that kind's name, and the option that names others.
fn mirrors_of(archive: Archive, mirrors: &Mirrors) -> (&[String], &'static str, &'static str) {
    match archive {
        Archive::Deb => (mirrors.debian(), "Debian", "--debian-mirror"),
        Archive::Npm => (mirrors.npm(), "npm", "--npm-registry"),
        Archive::Wheel => (mirrors.python(), "Python package", "--python-index"),
    }
}

async fn ask(
    client: &reqwest::Client,
    mirror: &str,
    locked: &Locked,
    part: &mut Part,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Answer {
    let url = match locked.archive {
        Archive::Deb | Archive::Npm => format!("{mirror}/{}", locked.path),
        Archive::Wheel => match index::address(client, mirror, &locked.path).await {
            Ok(url) => url,
            Err(reason) => return Answer::None(reason),
        },
    };
    transfer::ask(client, &url, locked, part, progress).await
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
