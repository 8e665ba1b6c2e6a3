//! One gzip member out of many deflate streams.
//!
//! A stream that somebody else compressed becomes part of ours when its last block no longer says that it is
//! the last, and an empty stored block behind it brings the next stream to a byte boundary (zlib's `gzjoin`
//! does the same). One member and not one for each stream: many decoders stop after the first.

use flate2::{Compress, Compression, FlushCompress};

use crate::zip::LastBlock;

/// Magic, deflate, no flags, no time, no effort, unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block.
const FINAL: [u8; 2] = [3, 0];
/// The body of an empty stored block: its length and the complement.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];
/// Most bytes that a stored block holds.
const STORED: usize = 65_535;

/// Ends the member: `crc` and `size` are of all that it decodes to.
pub(super) fn trailer(crc: u32, size: u64) -> Vec<u8> {
    // The format keeps the size modulo 2^32.
    [&FINAL[..], &crc.to_le_bytes(), &(size as u32).to_le_bytes()].concat()
}

/// Hands on a whole deflate stream as a part of a longer one, ending on a byte boundary.
pub(super) fn join<E>(
    raw: &[u8],
    last: LastBlock,
    out: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let Some((&last_byte, body)) = raw.split_last() else { return Ok(()) };
    let at = (last.header_bit / 8) as usize;
    let clear = !(1u8 << (last.header_bit % 8));
    let used = last.used_bits;
    let mut end = vec![last_byte & (0xff_u8 >> (8 - used))];
    if at == body.len() {
        end[0] &= clear;
        out(body)?;
    } else {
        out(&body[..at])?;
        out(&[body[at] & clear])?;
        out(&body[at + 1..])?;
    }
    // The empty stored block's header is three zero bits: in what is left of the last byte, or in one more.
    if 8 - used < 3 {
        end.push(0);
    }
    end.extend(EMPTY_STORED);
    out(&end)
}

/// Hands on bytes uncompressed. The stream must be at a byte boundary, and is afterwards.
pub(super) fn stored<E>(bytes: &[u8], out: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    for piece in bytes.chunks(STORED) {
        let length = piece.len() as u16;
        let [a, b] = length.to_le_bytes();
        out(&[0, a, b, !a, !b])?;
        out(piece)?;
    }
    Ok(())
}

/// Bytes that the encoder gets at once: always as many, whatever pieces they come in, since its choices depend on
/// how much it sees.
const PIECE: usize = 64 << 10;
/// More than such a piece ever becomes.
const BOUND: usize = PIECE + (PIECE >> 3);

/// Compresses parts of the member, each on its own and ending on a byte boundary.
pub(super) struct Deflater {
    compress: Compress,
    pending: Vec<u8>,
}

impl Deflater {
    /// Level 1 to 9.
    pub(super) fn new(level: u8) -> Self {
        Self {
            compress: Compress::new(Compression::new(level.into()), false),
            pending: Vec::with_capacity(PIECE),
        }
    }

    /// Begins a part: it must not refer to what came before, since other streams lie between.
    pub(super) fn begin(&mut self) {
        self.compress.reset();
        self.pending.clear();
    }

    /// Compresses more of a part into `out`.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while self.pending.len() + bytes.len() >= PIECE {
            let (head, tail) = bytes.split_at(PIECE - self.pending.len());
            self.pending.extend_from_slice(head);
            bytes = tail;
            self.run(FlushCompress::None, out);
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Ends a part.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.run(FlushCompress::Sync, out);
    }

    fn run(&mut self, flush: FlushCompress, out: &mut Vec<u8>) {
        let mut bytes = &self.pending[..];
        loop {
            out.reserve(BOUND);
            let before = self.compress.total_in();
            self.compress.compress_vec(bytes, out, flush).expect("compression of valid slices has no errors");
            bytes = &bytes[(self.compress.total_in() - before) as usize..];
            // Room left over: everything was written.
            if bytes.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        self.pending.clear();
    }
}
