//! Reading archives that nobody vouches for.
//!
//! A zip says what is in it twice (a directory at the end, a header beside each entry) and tools differ in
//! which they believe. Here both must agree and every byte must be accounted for, so there is one view of the
//! archive or a [`Refusal`]. No I/O: bytes in, entries out, and an entry's data is still compressed.
//!
//! [`vet`] calls one file a step: `directory` (end records and records), `entry` (headers and extents),
//! `name` (decoding and normalising), then the rules about the whole.

mod bytes;
mod code;
mod deflate;
mod directory;
mod entry;
mod limits;
mod name;
mod refusal;
mod vet;

pub use deflate::{Inflater, LastBlock};
pub use limits::{ArchiveLimits, InvalidLimit, LIMITS, Limit};
pub use refusal::Refusal;
pub use vet::vet;

use deflate::InflateError;

/// A vetted archive.
#[derive(Debug, Clone, Default)]
pub struct Archive<'a> {
    /// What is in it, by path, without macOS's litter.
    pub entries: Vec<Entry<'a>>,
    /// Names that were left out: `__MACOSX/`, `._*`, `.DS_Store`.
    pub dropped: Vec<String>,
    /// Things that are legal and look like mistakes; sentences.
    pub warnings: Vec<String>,
}

/// One entry of a vetted archive.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Relative, `/` between components, no `.`, `..` or empty ones.
    pub path: String,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What an entry is.
#[derive(Debug, Clone)]
pub enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Whether its owner may execute it: all that is kept of the mode.
        executable: bool,
        /// Its bytes.
        data: Data<'a>,
    },
    /// A symbolic link.
    Link {
        /// Where it points: relative, inside the archive.
        target: String,
    },
}

/// How an entry's bytes are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// As they are.
    #[default]
    Stored,
    /// A raw deflate stream.
    Deflate,
}

/// An entry's bytes as the archive has them, and what they must decode to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Data<'a> {
    /// The bytes in the archive.
    pub raw: &'a [u8],
    /// How they are kept.
    pub method: Method,
    /// Unpacked size in bytes.
    pub size: u64,
    /// CRC-32 of the unpacked bytes.
    pub crc: u32,
}

/// Takes decoded bytes, piece by piece; may stop the decoding.
pub type Sink<'s> = dyn FnMut(&[u8]) -> Result<(), Refusal> + 's;

impl<'a> Data<'a> {
    /// Plain bytes that come from no archive.
    #[must_use]
    pub fn plain(bytes: &'a [u8]) -> Self {
        Self { raw: bytes, method: Method::Stored, size: bytes.len() as u64, crc: crc32fast::hash(bytes) }
    }

    /// Decodes into `sink`, never more than [`size`](Self::size) bytes. Answers where the last block of a
    /// deflate stream lies, `None` for stored data. `entry` is the name for refusals.
    ///
    /// # Errors
    /// [`Refusal`]: size, checksum, bytes behind the stream, a broken stream, or the sink's.
    pub fn decode(
        &self,
        entry: &str,
        inflater: &mut Inflater,
        sink: &mut Sink<'_>,
    ) -> Result<Option<LastBlock>, Refusal> {
        let mut crc = crc32fast::Hasher::new();
        let last = match self.method {
            Method::Stored => {
                for piece in self.raw.chunks(64 << 10) {
                    crc.update(piece);
                    sink(piece)?;
                }
                None
            }
            Method::Deflate => {
                let mut both = |piece: &[u8]| {
                    crc.update(piece);
                    sink(piece)
                };
                Some(
                    inflater
                        .run(self.raw, self.size, &mut both)
                        .map_err(|error| self.refusal(entry, error))?,
                )
            }
        };
        match crc.finalize() {
            found if found == self.crc => Ok(last),
            found => Err(Refusal::Checksum { entry: entry.to_owned(), found, declared: self.crc }),
        }
    }

    /// All decoded bytes. For entries whose size is known to be bearable.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn read(&self, entry: &str, inflater: &mut Inflater) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        self.decode(entry, inflater, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    fn refusal(&self, entry: &str, error: InflateError) -> Refusal {
        let entry = entry.to_owned();
        match error {
            InflateError::Size { found } => Refusal::Size { entry, found, declared: self.size },
            InflateError::Broken(reason) => Refusal::Data { entry, reason },
            InflateError::Sink(refusal) => refusal,
        }
    }
}
