//! Layers that were made before, by what they were made from.
//!
//! One file a layer, named by its key: the layer's bytes, then a footer that says what they are. A file gets its
//! name when it is whole, and is believed only when its bytes have the digest and its footer the checksum that it
//! says; anything else is removed, and the layer made anew. So builds may share a cache, and a machine may crash.
//! The least recently used files go when there are too many bytes.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::Digest;
use oci::digest::Hasher;
use oci::layer::{Layer, OpenLayer};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// Files that are being written; what a killed build leaves behind begins so, too.
const UNFINISHED: &str = "unfinished-";
/// After which time an unfinished file is one that was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);
/// Behind the footer's text: its SHA-256 and its length, in hexadecimal digits.
const SEAL: usize = 64 + 8;
/// No footer is longer, in bytes.
const FOOTER: usize = 4096;

/// A folder of layers.
#[derive(Debug)]
pub struct LayerCache {
    folder: PathBuf,
    limit: u64,
}

/// A layer of the cache, and what a report says about it.
pub(super) struct Kept {
    pub(super) layer: OpenLayer,
    pub(super) tar_bytes: u64,
    pub(super) compressed_bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    key: Digest,
    digest: Digest,
    diff_id: Digest,
    size: u64,
    media_type: String,
    tar_bytes: u64,
    compressed_bytes: u64,
}

impl LayerCache {
    /// A cache in a folder, which is made when it is not there. It keeps at most `limit` bytes.
    ///
    /// # Errors
    /// The folder cannot be made, or somebody else may write in it: who can write here decides what is in
    /// images.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let about = fs::metadata(folder)?;
        if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o022 != 0 {
            return Err(io::Error::other(format!("others may write in {}", folder.display())));
        }
        Ok(Self { folder: folder.to_owned(), limit })
    }

    /// The layer that was made from this, if it is here and sound.
    pub(super) fn get(&self, key: &Digest) -> Option<Kept> {
        let path = self.path(key);
        let file = File::open(&path).ok()?;
        match read(&file, key) {
            Ok(kept) => {
                // Used now, so it goes later.
                let _ = file.set_modified(SystemTime::now());
                Some(kept)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a kept layer is damaged; it is made anew");
                let _ = fs::remove_file(path);
                None
            }
        }
    }

    /// A file to write a layer's bytes to.
    pub(super) fn unfinished(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)
    }

    /// Keeps a layer; `unfinished` has its bytes already. A cache that cannot be written to keeps nothing.
    pub(super) fn put(
        &self,
        key: &Digest,
        layer: &dyn Layer,
        bytes: (u64, u64),
        unfinished: Option<NamedTempFile>,
    ) {
        if let Err(error) = self.write(key, layer, bytes, unfinished) {
            tracing::debug!(folder = %self.folder.display(), %error, "the layer could not be kept");
        }
    }

    fn write(
        &self,
        key: &Digest,
        layer: &dyn Layer,
        (tar_bytes, compressed_bytes): (u64, u64),
        unfinished: Option<NamedTempFile>,
    ) -> io::Result<()> {
        if layer.size() > self.limit {
            return Ok(());
        }
        let mut file = match unfinished {
            Some(file) => file,
            None => {
                let mut file = self.unfinished()?;
                io::copy(&mut layer.open()?, &mut file)?;
                file
            }
        };
        let footer = Footer {
            key: key.clone(),
            digest: layer.digest().clone(),
            diff_id: layer.diff_id().clone(),
            size: layer.size(),
            media_type: layer.media_type().to_owned(),
            tar_bytes,
            compressed_bytes,
        };
        let text = serde_json::to_string(&footer)?;
        let sum = Digest::of(text.as_bytes());
        write!(file, "{text}{}{:08x}", sum.hex(), text.len())?;
        file.persist(self.path(key)).map_err(|error| error.error)?;
        self.evict()
    }

    /// Removes what was used least recently, and what killed builds left.
    fn evict(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let (mut files, mut total) = (Vec::new(), 0);
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another build may have removed it.
            let Ok(about) = entry.metadata() else { continue };
            let (path, used) = (entry.path(), about.modified()?);
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(UNFINISHED) {
                if now.duration_since(used).is_ok_and(|age| age > LEFT_BEHIND) {
                    let _ = fs::remove_file(path);
                }
            } else if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                // Other files are somebody's who named a folder of theirs.
                total += about.len();
                files.push((used, path, about.len()));
            }
        }
        files.sort();
        for (_, path, size) in files {
            if total <= self.limit {
                break;
            }
            let _ = fs::remove_file(path);
            total -= size;
        }
        Ok(())
    }

    fn path(&self, key: &Digest) -> PathBuf {
        self.folder.join(key.hex())
    }
}

/// Reads a kept layer, and sees that it is what it says.
fn read(file: &File, key: &Digest) -> io::Result<Kept> {
    let length = file.metadata()?.len();
    let mut tail = vec![0; FOOTER.min(usize::try_from(length).unwrap_or(FOOTER))];
    let at = length - tail.len() as u64;
    file.read_exact_at(&mut tail, at)?;
    let (footer, behind) = footer(&tail).ok_or_else(|| io::Error::other("its footer is damaged"))?;
    if footer.size.checked_add(behind) != Some(length) {
        return Err(io::Error::other("it has another length"));
    }
    if footer.key != *key {
        return Err(io::Error::other("it was made from something else"));
    }
    let layer = OpenLayer {
        file: Arc::new(file.try_clone()?),
        digest: footer.digest,
        diff_id: footer.diff_id,
        size: footer.size,
        media_type: footer.media_type,
    };
    let found = digest(&layer)?;
    if found != layer.digest {
        return Err(io::Error::other(format!("its bytes have the digest {found}")));
    }
    Ok(Kept { layer, tar_bytes: footer.tar_bytes, compressed_bytes: footer.compressed_bytes })
}

/// The footer, and how many bytes lie behind the layer.
fn footer(tail: &[u8]) -> Option<(Footer, u64)> {
    let (rest, seal) = tail.split_at_checked(tail.len().checked_sub(SEAL)?)?;
    let (sum, length) = str::from_utf8(seal).ok()?.split_at_checked(64)?;
    let length = usize::from_str_radix(length, 16).ok()?;
    let text = &rest[rest.len().checked_sub(length)?..];
    if Digest::of(text).hex() != sum {
        return None;
    }
    Some((serde_json::from_slice(text).ok()?, (length + SEAL) as u64))
}

fn digest(layer: &OpenLayer) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut reader = layer.open()?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
