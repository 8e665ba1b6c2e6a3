//! How a layer is to be made.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

use oci::manifest::{OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD};

use super::cache::LayerCache;

/// Latest modification time that a tar header holds in octal, in seconds since 1970.
pub const LATEST_MTIME: u64 = 0o77_777_777_777;

/// How a layer's tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// gzip, out of the streams that the archive has already.
    #[default]
    Reuse,
    /// gzip, all of it compressed anew at a level of 1 to 9: the same files then give the same bytes, whatever
    /// tool made the archive.
    Gzip(u8),
    /// zstd at a level of 1 to 19. Only images in OCI's form can have such layers.
    Zstd(u8),
    /// Not at all.
    None,
}

impl Compression {
    /// The media type of such layers in OCI's form.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Reuse | Self::Gzip(_) => OCI_LAYER_GZIP,
            Self::Zstd(_) => OCI_LAYER_ZSTD,
            Self::None => OCI_LAYER_TAR,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reuse => f.write_str("reuse"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = |text: &str, most: u8| text.parse().ok().filter(|level| (1..=most).contains(level));
        match text.split_once(':').unwrap_or((text, "")) {
            ("reuse", "") => Some(Self::Reuse),
            ("none", "") => Some(Self::None),
            ("gzip", "") => Some(Self::Gzip(6)),
            ("zstd", "") => Some(Self::Zstd(3)),
            ("gzip", of) => level(of, 9).map(Self::Gzip),
            ("zstd", of) => level(of, 19).map(Self::Zstd),
            _ => None,
        }
        .ok_or_else(|| "write reuse, gzip:1 to gzip:9, zstd:1 to zstd:19, or none".to_owned())
    }
}

/// How layers are to be made. All but the threads and the cache changes their bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct LayerOptions<'a> {
    /// How the tar is compressed.
    pub compression: Compression,
    /// How many threads work on it; `None`: as many as there are cores, up to four.
    pub threads: Option<NonZero<usize>>,
    /// Modification time of everything in it, in seconds since 1970, at most [`LATEST_MTIME`].
    pub mtime: u64,
    /// Where layers are kept, so that what has not changed is not made again.
    pub cache: Option<&'a LayerCache>,
}

impl LayerOptions<'_> {
    pub(super) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from).min(4);
        self.threads.map_or_else(cores, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_read_as_they_are_written() {
        for text in ["reuse", "gzip:1", "gzip:9", "zstd:19", "none"] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        assert_eq!("gzip".parse(), Ok(Compression::Gzip(6)));
        for wrong in ["", "gzip:0", "gzip:10", "zstd:20", "reuse:1", "xz", "gzip:x"] {
            assert!(wrong.parse::<Compression>().is_err(), "{wrong}");
        }
    }
}
