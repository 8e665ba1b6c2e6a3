//! A layer: something with a digest, a diff id, a size, a media type, and bytes that can be read again.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use bytes::Bytes;

use crate::digest::Digest;
use crate::manifest::OCI_LAYER_GZIP;

/// One layer of an image. [`open`](Layer::open) may be called any number of times (a retried upload reads
/// again) and always gives the same bytes.
pub trait Layer: Send + Sync {
    /// Digest of the bytes as stored and sent.
    fn digest(&self) -> &Digest;
    /// Digest of the uncompressed tar.
    fn diff_id(&self) -> &Digest;
    /// Number of bytes as stored and sent.
    fn size(&self) -> u64;
    /// Media type, one of the `OCI_LAYER_*` of [`crate::manifest`] or a Docker one.
    fn media_type(&self) -> &str;
    /// The bytes as stored and sent, from the start.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}

/// A layer in memory.
#[derive(Debug, Clone)]
pub struct MemoryLayer {
    /// The bytes as stored and sent.
    pub bytes: Bytes,
    /// Digest of `bytes`.
    pub digest: Digest,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Media type of `bytes`.
    pub media_type: String,
}

impl MemoryLayer {
    /// A gzip-compressed layer; hashes `bytes`.
    pub fn gzip(bytes: Bytes, diff_id: Digest) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest, diff_id, media_type: OCI_LAYER_GZIP.to_owned() }
    }
}

impl Layer for MemoryLayer {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn media_type(&self) -> &str {
        &self.media_type
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }
}

/// A layer in a file, opened when it is read.
#[derive(Debug, Clone)]
pub struct FileLayer {
    /// Where the bytes are.
    pub path: PathBuf,
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Length of the file in bytes.
    pub size: u64,
    /// Media type of the file's bytes.
    pub media_type: String,
}

impl Layer for FileLayer {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn media_type(&self) -> &str {
        &self.media_type
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(&self.path)?))
    }
}
