//! Layers: a tree of files as a compressed tar, made without compressing again what the archive has compressed
//! already.
//!
//! `plan` cuts the tree into chunks, `encode` makes tar and gzip of them (`tar` headers, `fixed` compresses
//! those, `gzip` joins deflate streams into one member) on all cores (`writer`, `blocks`), `assemble` hashes and
//! writes the result down (`spool`). `key` and `cache` are for layers that need not be made.

mod assemble;
mod blocks;
mod cache;
mod encode;
mod fixed;
mod gzip;
mod key;
mod options;
mod plan;
mod spool;
mod tar;
mod writer;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oci::{Digest, Layer};

pub use cache::LayerCache;
pub use options::{Compression, LATEST_MTIME, LayerOptions};

use crate::LayerReport;
use crate::tree::Tree;
use crate::zip::Refusal;

/// What a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Installed packages.
    Dependencies,
    /// The user's own files.
    Code,
    /// A compiled program.
    Program,
    /// What an interpreter makes of the sources.
    Caches,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dependencies => "dependencies",
            Self::Code => "code",
            Self::Program => "program",
            Self::Caches => "compiled caches",
        })
    }
}

/// Why there is no layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// What only decoding shows about an archive (checksums, sizes, broken streams), or it takes too long.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The layer could not be written down.
    #[error("the layer could not be written to a temporary file (in $TMPDIR, or /tmp): {0}")]
    Scratch(io::Error),
}

/// A layer that was made here, now or earlier.
#[derive(Clone)]
pub struct Made {
    /// What it holds.
    pub part: Part,
    /// The layer, its media type OCI's.
    pub layer: Arc<dyn Layer>,
    /// Bytes of the tar.
    pub tar_bytes: u64,
    /// Bytes that had to be compressed, when it was made.
    pub compressed_bytes: u64,
    /// Whether it was made earlier, and kept.
    pub kept: bool,
}

impl Made {
    /// What an interpreter makes of the worker programs: files of the image, outside of the function's directory. None
    /// when there are none.
    pub(crate) fn of_workers(files: &[(String, Vec<u8>)]) -> io::Result<Option<Self>> {
        if files.is_empty() {
            return Ok(None);
        }
        let (layer, tar_bytes) = crate::base::files_layer(files)?;
        let layer = Arc::new(layer);
        Ok(Some(Self { part: Part::Caches, layer, tar_bytes, compressed_bytes: tar_bytes, kept: false }))
    }

    /// For people.
    #[must_use]
    pub fn report(&self) -> LayerReport {
        LayerReport {
            part: self.part,
            bytes: self.layer.size(),
            tar_bytes: self.tar_bytes,
            compressed_bytes: self.compressed_bytes,
            kept: self.kept,
        }
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("digest", self.layer.digest()).field("report", &self.report()).finish()
    }
}

/// Makes a layer of a tree, or finds the one that was made of the same before. The number of cores does not
/// change a byte of it.
///
/// # Errors
/// [`LayerError`]; `limit` is how long decoding may take.
pub fn make(
    part: Part,
    tree: &Tree<'_>,
    limit: Duration,
    options: &LayerOptions<'_>,
) -> Result<Made, LayerError> {
    let key = options.cache.filter(|_| key::is_worth(tree)).map(|_| key::of(tree, options));
    match key.as_ref().and_then(|key| kept(part, key, options)) {
        Some(kept) => Ok(kept),
        None => make_as(part, key.as_ref(), tree, limit, options),
    }
}

/// The key of a layer of something that `maker`, named with everything that matters of it, makes of a tree. None
/// without a cache, or when looking takes longer than making.
pub(crate) fn key_of(tree: &Tree<'_>, maker: &str, options: &LayerOptions<'_>) -> Option<Digest> {
    options.cache.filter(|_| key::is_worth(tree))?;
    Some(Digest::of(format!("{maker}\n{}", key::of(tree, options)).as_bytes()))
}

/// The layer that was kept under a key.
pub(crate) fn kept(part: Part, key: &Digest, options: &LayerOptions<'_>) -> Option<Made> {
    let kept = options.cache?.get(key)?;
    let made = made(part, Arc::new(kept.layer), kept.tar_bytes, kept.compressed_bytes);
    Some(Made { kept: true, ..made })
}

/// Makes a layer of a tree, to be kept under a key when there is one.
pub(crate) fn make_as(
    part: Part,
    key: Option<&Digest>,
    tree: &Tree<'_>,
    limit: Duration,
    options: &LayerOptions<'_>,
) -> Result<Made, LayerError> {
    let deadline = encode::Deadline { at: Instant::now() + limit, limit };
    // What nobody keeps is not written where layers are kept.
    let cache = options.cache.filter(|_| key.is_some());
    let out = writer::write(tree, &LayerOptions { cache, ..*options }, deadline)?;
    let layer = out.spooled.layer;
    if let Some((cache, key)) = cache.zip(key) {
        cache.put(key, layer.as_ref(), (out.tar_bytes, out.compressed_bytes), out.spooled.unfinished);
    }
    Ok(made(part, layer, out.tar_bytes, out.compressed_bytes))
}

fn made(part: Part, layer: Arc<dyn Layer>, tar_bytes: u64, compressed_bytes: u64) -> Made {
    Made { part, layer, tar_bytes, compressed_bytes, kept: false }
}
