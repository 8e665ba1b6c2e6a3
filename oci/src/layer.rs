//! A layer: something with a digest, a diff id, a size, a media type, and bytes that can be read again.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// The same when they are in memory already, so that no thread is needed to read them.
    fn in_memory(&self) -> Option<Bytes> {
        None
    }
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

    fn in_memory(&self) -> Option<Bytes> {
        Some(self.bytes.clone())
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

/// A layer in a file that is open: the file may have no name (any more), and may go on behind the layer.
#[derive(Debug, Clone)]
pub struct OpenLayer {
    /// The file; the layer begins with its first byte.
    pub file: Arc<File>,
    /// Digest of the layer's bytes.
    pub digest: Digest,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Number of the layer's bytes.
    pub size: u64,
    /// Media type of the layer's bytes.
    pub media_type: String,
}

impl Layer for OpenLayer {
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
        Ok(Box::new(Positioned { file: Arc::clone(&self.file), at: 0, end: self.size }))
    }
}

/// Reads a range of a file without moving the file's own position, which other readers share.
struct Positioned {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn readers_of_an_open_layer_do_not_disturb_each_other() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"layer and what is behind").unwrap();
        let (digest, diff_id) = (Digest::of(b"layer"), Digest::of(b"tar"));
        let layer =
            OpenLayer { file: Arc::new(file), digest, diff_id, size: 5, media_type: OCI_LAYER_GZIP.into() };
        let (mut one, mut other) = (layer.open().unwrap(), layer.open().unwrap());
        let mut two = [0; 2];
        one.read_exact(&mut two).unwrap();
        let mut all = String::new();
        other.read_to_string(&mut all).unwrap();
        assert_eq!(all, "layer");
        all.clear();
        one.read_to_string(&mut all).unwrap();
        assert_eq!(all, "yer");
    }
}
