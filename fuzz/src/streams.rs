//! The deflate joiner: streams as encoders make them, streams that no encoder makes, and any bytes.

use std::io::Write;
use std::time::Duration;

use builder::layer::{self, LayerOptions, Part};
use builder::tree::Tree;
use builder::zip::{Data, Inflater, Kind, Method, Refusal};

/// Most that a stream may decode to here.
const MOST: usize = 1 << 20;

/// Any bytes as a stream, and a stream made as the bytes say, each joined into one gzip member.
///
/// # Panics
/// When a stream that is accepted decodes otherwise elsewhere, or one that is sound is not accepted.
pub(crate) fn deflate(bytes: &[u8]) {
    if let Some(plain) = accepted(bytes) {
        let other = miniz_oxide::inflate::decompress_to_vec_with_limit(bytes, MOST);
        assert!(other.is_ok_and(|other| other == plain), "another decoder sees something else");
        joined(bytes, &plain);
    }
    let (raw, plain) = stream(bytes);
    assert_eq!(accepted(&raw).as_ref(), Some(&plain), "a sound stream");
    joined(&raw, &plain);
}

/// What a stream decodes to; `None` when it is none, or is too much.
fn accepted(raw: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let unknown = Data { raw, method: Method::Deflate, size: MOST as u64, crc: 0 };
    let answer = unknown.decode("", &mut Inflater::new(), &mut |piece| {
        plain.extend_from_slice(piece);
        Ok(())
    });
    // Only the size and the checksum, which nobody knows yet, may be wrong.
    let sound = match answer {
        Err(Refusal::Size { found, .. }) => found == plain.len() as u64,
        Err(Refusal::Checksum { .. }) | Ok(_) => true,
        Err(_) => false,
    };
    sound.then_some(plain)
}

/// Twice the stream, between other files, as one member.
fn joined(raw: &[u8], plain: &[u8]) {
    let data = Data { raw, method: Method::Deflate, size: plain.len() as u64, crc: crc32fast::hash(plain) };
    let file = |data| Kind::File { executable: false, data };
    let mut tree = Tree::default();
    tree.insert("a", file(data));
    tree.insert("b", file(Data::plain(b"between")));
    tree.insert("c", file(data));
    let made = layer::make(Part::Code, &tree, Duration::from_secs(8), &LayerOptions::default());
    let tar = inflated(made.expect("a sound stream").layer.as_ref());
    let mut found = 0;
    for entry in tar::Archive::new(&tar[..]).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").file_name().map(|name| name.to_string_lossy().into_owned());
        if matches!(name.as_deref(), Some("a" | "c")) {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("a file");
            assert!(bytes == plain, "the file's bytes");
            found += 1;
        }
    }
    assert_eq!(found, 2);
}

/// A layer's tar: one gzip member, by two decoders that must agree; neither goes on to a second member.
pub(crate) fn inflated(layer: &dyn oci::Layer) -> Vec<u8> {
    let (mut gzip, mut plain) = (Vec::new(), Vec::new());
    layer.open().and_then(|mut bytes| bytes.read_to_end(&mut gzip)).expect("the layer's bytes");
    let mut decoder = flate2::read::GzDecoder::new(&gzip[..]);
    std::io::Read::read_to_end(&mut decoder, &mut plain).expect("one gzip member");
    let body = &gzip[10..gzip.len() - 8];
    let other = miniz_oxide::inflate::decompress_to_vec(body).expect("one deflate stream");
    assert!(plain == other, "two decoders, two results");
    assert_eq!(&oci::Digest::of(&plain), layer.diff_id());
    plain
}

/// A stream and what it decodes to. The first byte chooses: an encoder's level over the others, or a program of blocks
/// that no encoder writes.
pub(crate) fn stream(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match bytes.split_first() {
        Some((level @ 0..=9, plain)) => {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new((*level).into()));
            encoder.write_all(plain).expect("memory takes all");
            (encoder.finish().expect("memory takes all"), plain.to_vec())
        }
        Some((_, program)) => blocks(program),
        None => blocks(&[]),
    }
}

/// Each byte says a block: stored (its length in the byte), literals by the fixed code, a run, or an empty one. The
/// last one is fixed, and ends on any bit.
fn blocks(mut program: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut bits, mut plain) = (Bits::default(), Vec::new());
    while let Some((&what, rest)) = program.split_first() {
        let (text, after) = rest.split_at(rest.len().min(usize::from(what >> 3)));
        match what & 7 {
            0 | 1 => {
                bits.stored(text);
                plain.extend(text);
                program = after;
            }
            2 | 3 => {
                bits.fixed(false, text, 0);
                plain.extend(text);
                program = after;
            }
            4 if !plain.is_empty() => {
                bits.fixed(false, &[], usize::from(what >> 3));
                plain.extend(vec![plain[plain.len() - 1]; 3 * usize::from(what >> 3)]);
                program = rest;
            }
            _ => {
                bits.fixed(false, &[], 0);
                program = rest;
            }
        }
    }
    // Literals above 143 have nine bits: as many of them as bring the end to any bit.
    let tail = vec![200; plain.len() % 8];
    bits.fixed(true, &tail, 0);
    plain.extend(tail);
    (bits.bytes, plain)
}

/// A deflate stream, bit by bit.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits used of the last byte; 0 for all of it.
    used: u32,
}

impl Bits {
    /// The lowest `count` bits, the lowest first.
    fn put(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= (((value >> bit) & 1) as u8) << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// A code of Huffman's, whose highest bit comes first.
    fn code(&mut self, value: u32, count: u32) {
        self.put(value.reverse_bits() >> (32 - count), count);
    }

    fn stored(&mut self, text: &[u8]) {
        self.put(0, 3);
        self.used = 0;
        let length = text.len() as u16;
        self.bytes.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
        self.bytes.extend(text);
    }

    /// Literals, then so many times "three more of the last byte".
    fn fixed(&mut self, last: bool, text: &[u8], runs: usize) {
        self.put(u32::from(last) | 0b010, 3);
        for byte in text {
            match u32::from(*byte) {
                byte @ 0..=143 => self.code(0x30 + byte, 8),
                byte => self.code(0x190 + byte - 144, 9),
            }
        }
        for _ in 0..runs {
            self.code(1, 7);
            self.code(0, 5);
        }
        self.code(0, 7);
    }
}
