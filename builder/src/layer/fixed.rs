//! A small deflate encoder for tar headers: one block with the format's fixed code and matches within the
//! header. General encoders clear tables of a hundred kilobytes for each new stream, and a layer has a header
//! for each file.

/// Bytes that are encoded at once; matches reach no further back.
const WINDOW: usize = 8 << 10;
const SHORTEST: usize = 4;
const LONGEST: usize = 258;
const HASH_BITS: u32 = 9;
const END_OF_BLOCK: usize = 256;

/// Base length and extra bits of the length symbols 257 to 285 (RFC 1951, 3.2.5).
const LENGTHS: [(u16, u8); 29] = {
    let mut table = [(0, 0); 29];
    let (mut i, mut base) = (0, 3);
    while i < 28 {
        let extra = if i < 8 { 0 } else { (i as u8 - 4) / 4 };
        table[i] = (base, extra);
        base += 1 << extra;
        i += 1;
    }
    table[28] = (258, 0);
    table
};

/// Base distance and extra bits of the distance symbols.
const DISTANCES: [(u16, u8); 30] = {
    let mut table = [(0, 0); 30];
    let (mut i, mut base) = (0, 1u32);
    while i < 30 {
        let extra = if i < 4 { 0 } else { (i as u8 - 2) / 2 };
        table[i] = (base as u16, extra);
        base += 1 << extra;
        i += 1;
    }
    table
};

/// The fixed code of literals and lengths, first bit lowest: bits and their number.
const CODES: [(u16, u8); 286] = {
    let mut table = [(0, 0); 286];
    let mut i = 0;
    while i < 286 {
        let (code, bits) = match i {
            0..=143 => (0x30 + i as u16, 8),
            144..=255 => (0x190 + (i as u16 - 144), 9),
            256..=279 => (i as u16 - 256, 7),
            _ => (0xc0 + (i as u16 - 280), 8),
        };
        table[i] = (code.reverse_bits() >> (16 - bits), bits);
        i += 1;
    }
    table
};

/// Appends `bytes` as a part of a deflate stream that ends on a byte boundary and is not the last one.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let mut bits = Bits { out, pending: 0, count: 0 };
    // Not the last block; the fixed code.
    bits.put(0b010, 3);
    for window in bytes.chunks(WINDOW) {
        block(window, &mut bits);
    }
    bits.symbol(END_OF_BLOCK);
    // An empty stored block: its header, the way to the byte boundary, its length and the complement.
    bits.put(0, 3);
    bits.align();
    bits.out.extend([0, 0, 0xff, 0xff]);
}

fn block(bytes: &[u8], bits: &mut Bits<'_>) {
    // Where four bytes with that hash were last, plus one.
    let mut seen = [0u16; 1 << HASH_BITS];
    let mut at = 0;
    while at < bytes.len() {
        let length = match bytes[at..].first_chunk::<SHORTEST>() {
            None => 0,
            Some(four) => {
                let slot = &mut seen[hash(four)];
                let before = std::mem::replace(slot, at as u16 + 1);
                let length = if before == 0 { 0 } else { matching(bytes, usize::from(before) - 1, at) };
                if length > 0 {
                    bits.copy(length, at - (usize::from(before) - 1));
                }
                length
            }
        };
        if length == 0 {
            bits.symbol(usize::from(bytes[at]));
        }
        at += length.max(1);
    }
}

fn hash(four: &[u8; 4]) -> usize {
    (u32::from_le_bytes(*four).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes at two places are the same; 0 when too few for a match.
fn matching(bytes: &[u8], before: usize, at: usize) -> usize {
    let pairs = bytes[before..].iter().zip(&bytes[at..]);
    let length = pairs.take(LONGEST).take_while(|(one, other)| one == other).count();
    if length >= SHORTEST { length } else { 0 }
}

/// Bits on their way into bytes, lowest first.
struct Bits<'o> {
    out: &'o mut Vec<u8>,
    pending: u64,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, bits: u16, count: u8) {
        self.pending |= u64::from(bits) << self.count;
        self.count += u32::from(count);
        if self.count >= 32 {
            self.out.extend((self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    fn symbol(&mut self, symbol: usize) {
        let (code, bits) = CODES[symbol];
        self.put(code, bits);
    }

    fn copy(&mut self, length: usize, distance: usize) {
        let (length, distance) = (length as u16, distance as u16);
        let symbol = LENGTHS.partition_point(|(base, _)| *base <= length) - 1;
        let (base, extra) = LENGTHS[symbol];
        self.symbol(END_OF_BLOCK + 1 + symbol);
        self.put(length - base, extra);
        let symbol = DISTANCES.partition_point(|(base, _)| *base <= distance) - 1;
        let (base, extra) = DISTANCES[symbol];
        self.put((symbol as u16).reverse_bits() >> 11, 5);
        self.put(distance - base, extra);
    }

    fn align(&mut self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend(&self.pending.to_le_bytes()[..bytes]);
        (self.pending, self.count) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn round_trip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(bytes, &mut out);
        out.extend([3, 0]);
        let mut back = Vec::new();
        flate2::read::DeflateDecoder::new(&out[..]).read_to_end(&mut back).unwrap();
        back
    }

    #[test]
    fn tables_are_the_formats() {
        assert_eq!((LENGTHS[8], LENGTHS[27], LENGTHS[28]), ((11, 1), (227, 5), (258, 0)));
        assert_eq!((DISTANCES[4], DISTANCES[29]), ((5, 1), (24_577, 13)));
    }

    #[test]
    fn long_runs_and_all_bytes() {
        let every: Vec<u8> = (0..=255).collect();
        for bytes in [&b""[..], &[0; 100_000], &every, &every.repeat(300)] {
            assert_eq!(round_trip(bytes), bytes);
        }
        let mut out = Vec::new();
        encode(&[0; 512], &mut out);
        assert!(out.len() < 20, "{}", out.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_come_back(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3000),
            prop::collection::vec(prop::sample::select(b"01\0".to_vec()), 0..20_000),
        ]) {
            prop_assert_eq!(round_trip(&bytes), bytes);
        }
    }
}
