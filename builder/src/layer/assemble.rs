//! The layer so far: takes what the encoders make, in the tar's order, hashes it, and writes it down.

use std::io::{self, Write as _};

use oci::digest::Hasher;

use super::cache::LayerCache;
use super::encode::{Sink, SliceEnd};
use super::gzip;
use super::options::Compression;
use super::spool::{Spool, Spooled};
use crate::zip::Refusal;

/// Bytes of tar that zstd's threads compress at a time. Fixed, since it changes the result; small, since each
/// thread holds some of them.
const ZSTD_JOB: u32 = 2 << 20;

/// A layer that is being made.
pub(super) struct Assembly<'c> {
    body: Body<'c>,
    media_type: &'static str,
    tar_bytes: u64,
    compressed_bytes: u64,
    /// Checksum of a stored file's slices so far.
    slices: crc32fast::Hasher,
    /// Why nothing can be written any more.
    failed: Option<io::Error>,
}

enum Body<'c> {
    Gzip { spool: Spool<'c>, diff: Hasher, crc: crc32fast::Hasher },
    Zstd { encoder: Box<zstd::stream::write::Encoder<'static, Spool<'c>>>, diff: Hasher },
    Tar { spool: Spool<'c> },
}

/// A finished layer.
pub(super) struct Output {
    pub(super) spooled: Spooled,
    pub(super) tar_bytes: u64,
    pub(super) compressed_bytes: u64,
}

impl<'c> Assembly<'c> {
    pub(super) fn new(
        compression: Compression,
        threads: usize,
        cache: Option<&'c LayerCache>,
    ) -> io::Result<Self> {
        let mut spool = Spool::new(cache);
        let body = match compression {
            Compression::Reuse | Compression::Gzip(_) => {
                spool.write_all(&gzip::HEADER)?;
                Body::Gzip { spool, diff: Hasher::new(), crc: crc32fast::Hasher::new() }
            }
            Compression::Zstd(level) => {
                let mut encoder = zstd::stream::write::Encoder::new(spool, level.into())?;
                encoder.include_checksum(true)?;
                // At least one: without threads of its own zstd cuts, and so compresses, differently.
                encoder.multithread(threads.max(1) as u32)?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB))?;
                Body::Zstd { encoder: Box::new(encoder), diff: Hasher::new() }
            }
            Compression::None => Body::Tar { spool },
        };
        Ok(Self {
            body,
            media_type: compression.media_type(),
            tar_bytes: 0,
            compressed_bytes: 0,
            slices: crc32fast::Hasher::new(),
            failed: None,
        })
    }

    /// Why writing failed, when it did: then the encoders' error only says that they were stopped.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    pub(super) fn finish(self) -> io::Result<Output> {
        let spooled = match self.body {
            Body::Gzip { mut spool, diff, crc } => {
                spool.write_all(&gzip::trailer(crc.finalize(), self.tar_bytes))?;
                spool.finish(Some(diff.finish()), self.media_type)?
            }
            Body::Zstd { encoder, diff } => encoder.finish()?.finish(Some(diff.finish()), self.media_type)?,
            Body::Tar { spool } => spool.finish(None, self.media_type)?,
        };
        Ok(Output { spooled, tar_bytes: self.tar_bytes, compressed_bytes: self.compressed_bytes })
    }

    fn written(&mut self, result: io::Result<()>) -> Result<(), Refusal> {
        result.map_err(|error| {
            self.failed = Some(error);
            stopped()
        })
    }
}

impl Sink for Assembly<'_> {
    fn tar(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.tar_bytes += bytes.len() as u64;
        let result = match &mut self.body {
            Body::Gzip { diff, crc, .. } => {
                diff.update(bytes);
                crc.update(bytes);
                return Ok(());
            }
            Body::Zstd { encoder, diff } => {
                diff.update(bytes);
                encoder.write_all(bytes)
            }
            Body::Tar { spool } => spool.write_all(bytes),
        };
        self.written(result)
    }

    fn gzip(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        match &mut self.body {
            Body::Gzip { spool, .. } => {
                let result = spool.write_all(bytes);
                self.written(result)
            }
            Body::Zstd { .. } | Body::Tar { .. } => Ok(()),
        }
    }

    fn compressed(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.compressed_bytes += bytes;
        Ok(())
    }

    fn slice(&mut self, end: SliceEnd) -> Result<(), Refusal> {
        self.slices.combine(&end.crc);
        let Some((entry, declared)) = end.whole else { return Ok(()) };
        match std::mem::take(&mut self.slices).finalize() {
            found if found == declared => Ok(()),
            found => Err(Refusal::Checksum { entry, found, declared }),
        }
    }
}

/// What stops an encoder whose bytes nobody wants any more. Nobody sees it: the cause is known elsewhere.
pub(super) fn stopped() -> Refusal {
    Refusal::DecodeTime { limit: std::time::Duration::ZERO }
}
