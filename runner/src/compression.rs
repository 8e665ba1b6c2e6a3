//! How layers are packed, and their tar out of it. What reads a layer to unpack it and what reads it to prove its content
//! use this one way.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// How a layer's blob is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// gzip, of one or several members.
    Gzip,
    /// zstd, of one or several frames; what `zstd:chunked` adds is in frames that every reader skips.
    Zstd,
    /// A plain tar.
    None,
}

impl Compression {
    /// That of a layer's media type, OCI's or Docker's.
    #[must_use]
    pub fn of(media_type: &str) -> Self {
        match media_type {
            gzip if gzip.ends_with("gzip") => Self::Gzip,
            zstd if zstd.ends_with("zstd") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The tar in a blob. How long it is nobody knows before its end: whoever reads it has to have a limit.
    ///
    /// # Errors
    /// No memory for a decoder.
    pub fn unpacked<'a>(self, packed: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            // A frame that wants a window of more than 128 MiB is refused by zstd itself.
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
            Self::None => Box::new(packed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(compression: Compression, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut tar = Vec::new();
        compression.unpacked(packed)?.read_to_end(&mut tar)?;
        Ok(tar)
    }

    #[test]
    fn media_types_of_both_families() {
        for (media_type, compression) in [
            ("application/vnd.oci.image.layer.v1.tar+gzip", Compression::Gzip),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::Gzip),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd),
            ("application/vnd.docker.image.rootfs.diff.tar.zstd", Compression::Zstd),
            ("application/vnd.oci.image.layer.v1.tar", Compression::None),
        ] {
            assert_eq!(Compression::of(media_type), compression, "{media_type}");
        }
    }

    #[test]
    fn frames_that_say_something_else_are_skipped_and_what_breaks_off_is_no_end() {
        // As zstd:chunked has it: a frame, one that is skipped, a frame, and a table of contents that is skipped.
        let skipped = [&[0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"toc"].concat();
        let frame = |text: &[u8]| zstd::encode_all(text, 3).unwrap();
        let packed = [frame(b"one "), skipped.clone(), frame(b"two"), skipped].concat();
        assert_eq!(read(Compression::Zstd, &packed).unwrap(), b"one two");
        let short = frame(&[7; 1000]);
        assert!(read(Compression::Zstd, &short[..short.len() - 3]).is_err());
        assert!(read(Compression::Zstd, b"no zstd at all").is_err());
    }

    #[test]
    fn a_frame_that_wants_more_memory_than_any_layer_needs_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.window_log(30).unwrap();
        io::Write::write_all(&mut encoder, b"x").unwrap();
        let refused = read(Compression::Zstd, &encoder.finish().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("memory"), "{refused}");
    }
}
