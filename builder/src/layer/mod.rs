//! Layers: a tree of files as a gzip-compressed tar, made without compressing again what the archive has
//! compressed already.
//!
//! `tar` makes headers, `gzip` joins deflate streams into one member, `writer` brings them together on all
//! cores.

mod gzip;
mod tar;
mod writer;

use std::fmt;
use std::time::{Duration, Instant};

use oci::layer::MemoryLayer;

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

/// A layer that was made here.
#[derive(Debug, Clone)]
pub struct Made {
    /// What it holds.
    pub part: Part,
    /// The layer, in memory.
    pub layer: MemoryLayer,
    /// Bytes of the tar.
    pub tar_bytes: u64,
    /// Bytes that had to be compressed.
    pub compressed_bytes: u64,
}

impl Made {
    /// For people.
    #[must_use]
    pub fn report(&self) -> LayerReport {
        LayerReport {
            part: self.part,
            bytes: self.layer.bytes.len() as u64,
            tar_bytes: self.tar_bytes,
            compressed_bytes: self.compressed_bytes,
        }
    }
}

/// Makes a layer of a tree. The number of cores does not change a byte of it.
///
/// # Errors
/// [`Refusal`]: what only decoding shows about an archive (checksums, sizes, broken streams), or that it takes
/// longer than `limit`.
pub fn make(part: Part, tree: &Tree<'_>, limit: Duration) -> Result<Made, Refusal> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    writer::write(tree, threads, writer::Deadline { at: Instant::now() + limit, limit }).map(|out| Made {
        part,
        layer: out.layer,
        tar_bytes: out.tar_bytes,
        compressed_bytes: out.compressed_bytes,
    })
}
