//! Decoding deflate streams block by block. The layer writer joins streams without compressing again, and
//! for that it must know at which bit the last block of each begins and where it ends; among Rust's inflate
//! interfaces only zlib's `Z_BLOCK` tells, hence the C-shaped interface here.
#![allow(unsafe_code)]

use std::mem::size_of;

use libz_rs_sys as zlib;

use super::{Refusal, Sink};

/// Steps without output after which the sink is called nevertheless.
const SILENT: u32 = 4096;

/// Where the last block of a deflate stream lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBlock {
    /// Bit offset of the block's header, whose first bit says that it is the last one.
    pub header_bit: u64,
    /// Bits of the stream's last byte that belong to the stream, 1 to 8.
    pub used_bits: u8,
}

/// Why a stream did not decode.
#[derive(Debug)]
pub(super) enum InflateError {
    /// It decodes to another number of bytes.
    Size { found: u64 },
    /// It is no deflate stream, is cut off, or has bytes behind it.
    Broken(&'static str),
    /// The sink's refusal.
    Sink(Refusal),
}

/// A decoder for raw deflate streams, made once for many of them.
pub struct Inflater {
    /// Boxed: zlib's interface wants the structure to stay where it is.
    stream: Box<zlib::z_stream>,
    buffer: Box<[u8]>,
}

/// What one call of zlib did.
struct Step {
    code: i32,
    read: usize,
    written: usize,
    data_type: i32,
}

impl Step {
    fn at_block_end(&self) -> bool {
        self.data_type & 128 != 0
    }

    fn in_last_block(&self) -> bool {
        self.data_type & 64 != 0
    }

    /// Bits of the last byte read that are not used yet; below 8 at a block's end.
    fn unused_bits(&self) -> u8 {
        (self.data_type & 7) as u8
    }
}

impl Inflater {
    /// A decoder with a window of 32 KiB.
    #[must_use]
    pub fn new() -> Self {
        let mut stream = Box::new(zlib::z_stream::default());
        let size = size_of::<zlib::z_stream>() as i32;
        // SAFETY: `stream` is a valid, exclusive z_stream; its default has the allocator's functions set and
        // everything else empty; the version is a static C string; `size` is the structure's.
        let code = unsafe { zlib::inflateInit2_(&raw mut *stream, -15, zlib::zlibVersion(), size) };
        assert_eq!(code, zlib::Z_OK, "zlib of the same build has the same version, and memory is there");
        Self { stream, buffer: vec![0; 64 << 10].into_boxed_slice() }
    }

    /// Decodes a whole stream that must decode to `size` bytes and fill `raw` exactly.
    pub(super) fn run(
        &mut self,
        raw: &[u8],
        size: u64,
        sink: &mut Sink<'_>,
    ) -> Result<LastBlock, InflateError> {
        // SAFETY: `stream` was initialised in `new` and is ended only in `drop`.
        unsafe { zlib::inflateReset(&raw mut *self.stream) };
        let (mut rest, mut produced) = (raw, 0u64);
        let (mut header_bit, mut last) = (0, None);
        let mut silent = 0u32;
        loop {
            let step = self.step(rest);
            rest = &rest[step.read..];
            produced += step.written as u64;
            if produced > size {
                return Err(InflateError::Size { found: produced });
            }
            // Nothing at all now and then: a stream of empty blocks must not keep the sink from its deadline.
            silent = if step.written > 0 { 0 } else { silent + 1 };
            if silent.is_multiple_of(SILENT) {
                sink(&self.buffer[..step.written]).map_err(InflateError::Sink)?;
            }
            match step.code {
                zlib::Z_STREAM_END => break,
                zlib::Z_OK => {}
                // No bytes moved, but a block may have ended within bits that were read before.
                zlib::Z_BUF_ERROR if step.at_block_end() => {}
                zlib::Z_BUF_ERROR => return Err(InflateError::Broken("its compressed data is cut off")),
                _ => return Err(InflateError::Broken("its compressed data is no deflate stream")),
            }
            if step.at_block_end() && last.is_none() {
                let unused = step.unused_bits();
                match step.in_last_block() {
                    true => last = Some(LastBlock { header_bit, used_bits: 8 - unused }),
                    false => header_bit = (raw.len() - rest.len()) as u64 * 8 - u64::from(unused),
                }
            }
        }
        if !rest.is_empty() {
            return Err(InflateError::Broken("there are bytes behind its compressed data"));
        }
        if produced != size {
            return Err(InflateError::Size { found: produced });
        }
        last.ok_or(InflateError::Broken("its compressed data has no last block"))
    }

    /// Decodes up to the end of a block, of the input, or of the buffer.
    fn step(&mut self, input: &[u8]) -> Step {
        let given = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let room = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX);
        let stream = &mut *self.stream;
        stream.next_in = input.as_ptr();
        stream.avail_in = given;
        stream.next_out = self.buffer.as_mut_ptr();
        stream.avail_out = room;
        // SAFETY: `stream` was initialised in `new`. `next_in` points at `given` readable bytes of `input`
        // (`given` is at most its length) and `next_out` at `room` writable bytes of `buffer`; both outlive the
        // call, and the pointers are set anew before the next one.
        let code = unsafe { zlib::inflate(&raw mut *stream, zlib::Z_BLOCK) };
        Step {
            code,
            read: (given - stream.avail_in) as usize,
            written: (room - stream.avail_out) as usize,
            data_type: stream.data_type,
        }
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: `stream` was initialised in `new`; nothing uses it after this.
        unsafe { zlib::inflateEnd(&raw mut *self.stream) };
    }
}

// SAFETY: the structure owns everything its pointers lead to (`state` is zlib's own heap memory, `next_in` and
// `next_out` are only used within a call), and nothing in zlib is tied to a thread.
unsafe impl Send for Inflater {}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}
