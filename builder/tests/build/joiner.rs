//! Any deflate stream becomes a part of one gzip member that decodes to the same tar.

use std::io::Read;
use std::time::Duration;

use builder::layer::{self, LayerOptions, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, vet};
use flate2::{Compress, Compression, FlushCompress};
use oci::Digest;
use proptest::prelude::*;

use crate::archive::{Item, zip};

/// One step of an encoder.
#[derive(Debug, Clone)]
enum Block {
    /// Compressed text, then a flush of a kind that leaves empty blocks behind.
    Deflate(Vec<u8>, bool),
    /// A stored block, possibly empty, after a byte boundary.
    Stored(Vec<u8>),
}

fn stream(blocks: &[Block], level: u32, empty_end: bool) -> (Vec<u8>, Vec<u8>) {
    let (mut raw, mut plain) = (Vec::new(), Vec::new());
    let mut encoder = Compress::new(Compression::new(level), false);
    let mut run = |mut bytes: &[u8], flush: FlushCompress, raw: &mut Vec<u8>| {
        loop {
            raw.reserve(4096);
            let before = encoder.total_in();
            let status = encoder.compress_vec(bytes, raw, flush).unwrap();
            bytes = &bytes[(encoder.total_in() - before) as usize..];
            let done = if flush == FlushCompress::Finish {
                status == flate2::Status::StreamEnd
            } else {
                raw.len() < raw.capacity()
            };
            if done && bytes.is_empty() {
                return;
            }
        }
    };
    for block in blocks {
        match block {
            Block::Deflate(bytes, full) => {
                plain.extend(bytes);
                run(bytes, if *full { FlushCompress::Full } else { FlushCompress::Sync }, &mut raw);
            }
            Block::Stored(bytes) => {
                // After a full flush nothing refers back, so a foreign block may stand here.
                run(&[], FlushCompress::Full, &mut raw);
                plain.extend(bytes);
                let length = (bytes.len() as u16).to_le_bytes();
                raw.extend([0, length[0], length[1], !length[0], !length[1]]);
                raw.extend(bytes);
                run(&[], FlushCompress::Full, &mut raw);
            }
        }
    }
    let tail = if empty_end { &b""[..] } else { b"tail tail tail" };
    plain.extend(tail);
    run(tail, FlushCompress::Finish, &mut raw);
    (plain, raw)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    // Few letters, so that there is something to compress; any bytes, so that not everything can be.
    prop_oneof![
        prop::collection::vec(prop::sample::select(b"abc \n".to_vec()), 0..3000),
        prop::collection::vec(any::<u8>(), 0..600),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        (text(), any::<bool>()).prop_map(|(bytes, full)| Block::Deflate(bytes, full)),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Block::Stored),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_streams_join_into_one_member(
        files in prop::collection::vec((prop::collection::vec(block(), 0..5), 0u32..=9, any::<bool>()), 1..5)
    ) {
        let made: Vec<(String, Vec<u8>, Vec<u8>)> = files
            .iter()
            .enumerate()
            .map(|(i, (blocks, level, empty))| {
                let (plain, raw) = stream(blocks, *level, *empty);
                (format!("f{i}"), plain, raw)
            })
            .collect();
        let archive = zip(&made.iter().map(|(name, plain, raw)| Item::stream(name, plain, raw.clone())).collect::<Vec<_>>());
        let vetted = vet(&archive, &ArchiveLimits::default()).unwrap();
        let limit = Duration::from_secs(60);
        let layer = layer::make(Part::Code, &Tree::of(&vetted), limit, &LayerOptions::default()).unwrap().layer;
        // Not the multi-member decoder: this one stops after the first member.
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(layer.open().unwrap()).read_to_end(&mut tar).unwrap();
        prop_assert_eq!(&Digest::of(&tar), layer.diff_id());
        let mut tar = tar::Archive::new(&tar[..]);
        let mut found = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            if entry.header().entry_type().is_file() {
                found.push(bytes);
            }
        }
        let expected: Vec<Vec<u8>> = made.into_iter().map(|(_, plain, _)| plain).collect();
        prop_assert_eq!(found, expected);
    }
}
