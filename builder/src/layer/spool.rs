//! Where a layer's bytes go while it is made: memory as long as they are few, then a file that no name leads to
//! (or one of the cache's, which gets its name when it is whole).

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use oci::Digest;
use oci::digest::Hasher;
use oci::layer::{Layer, MemoryLayer, OpenLayer};
use tempfile::NamedTempFile;

use super::cache::LayerCache;

/// Layers up to this many bytes stay in memory.
const MEMORY: usize = 2 << 20;
/// Bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;

/// Takes a layer's bytes.
pub(super) struct Spool<'c> {
    cache: Option<&'c LayerCache>,
    bytes: Vec<u8>,
    file: Option<Scratch>,
    size: u64,
    hasher: Hasher,
}

enum Scratch {
    Unnamed(File),
    Cache(NamedTempFile),
}

/// A layer's bytes, all of them.
pub(super) struct Spooled {
    pub(super) layer: Arc<dyn Layer>,
    /// The file of the cache that they are in.
    pub(super) unfinished: Option<NamedTempFile>,
}

impl<'c> Spool<'c> {
    pub(super) fn new(cache: Option<&'c LayerCache>) -> Self {
        Self { cache, bytes: Vec::new(), file: None, size: 0, hasher: Hasher::new() }
    }

    /// Ends the layer; without a `diff_id` the bytes are the tar itself.
    pub(super) fn finish(mut self, diff_id: Option<Digest>, media_type: &str) -> io::Result<Spooled> {
        let (digest, media_type) = (self.hasher.finish(), media_type.to_owned());
        let diff_id = diff_id.unwrap_or_else(|| digest.clone());
        let Some(mut file) = self.file else {
            let bytes = Bytes::from(self.bytes);
            let layer = Arc::new(MemoryLayer { bytes, digest, diff_id, media_type });
            return Ok(Spooled { layer, unfinished: None });
        };
        file.write_all(&self.bytes)?;
        self.bytes = Vec::new();
        let (file, unfinished) = match file {
            Scratch::Unnamed(file) => (file, None),
            Scratch::Cache(file) => (file.as_file().try_clone()?, Some(file)),
        };
        let layer = OpenLayer { file: Arc::new(file), digest, diff_id, size: self.size, media_type };
        Ok(Spooled { layer: Arc::new(layer), unfinished })
    }

    /// Moves what is in memory into a file.
    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                // A cache that cannot be written to is none; a file without a name serves as well.
                let of_cache = self.cache.and_then(|cache| cache.unfinished().ok()).map(Scratch::Cache);
                let file = match of_cache {
                    Some(file) => file,
                    None => Scratch::Unnamed(tempfile::tempfile()?),
                };
                self.file.insert(file)
            }
        };
        file.write_all(&self.bytes)?;
        self.bytes.clear();
        self.bytes.shrink_to(BUFFER);
        Ok(())
    }
}

impl Write for Spool<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        let most = if self.file.is_some() { BUFFER } else { MEMORY };
        if self.bytes.len() + bytes.len() > most {
            self.spill()?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unnamed(file) => file.write(bytes),
            Self::Cache(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
