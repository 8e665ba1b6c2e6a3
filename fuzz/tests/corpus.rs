//! The corpora of all fuzz targets, replayed: what once reached a corner of a parser reaches it in every test run.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use builder::zip::{ArchiveLimits, Data, Inflater, Method, vet};
use zipship_fuzz::{stream, targets};

const CORPORA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries =
        std::fs::read_dir(Path::new(CORPORA).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// The files with which the target panics.
fn broken(name: &str, run: impl Fn(&[u8])) -> Vec<PathBuf> {
    let panics = |bytes: &[u8]| catch_unwind(AssertUnwindSafe(|| run(bytes))).is_err();
    corpus(name).into_iter().filter(|(_, bytes)| panics(bytes)).map(|(path, _)| path).collect()
}

#[test]
fn every_file_of_every_corpus_keeps_the_promises_of_its_target() {
    for (name, run) in targets() {
        assert!(corpus(name).len() >= 10, "{name}: a corpus");
        assert_eq!(broken(name, run), Vec::<PathBuf>::new(), "{name}");
    }
}

#[test]
fn corpora_are_small_and_each_has_a_target() {
    let known: BTreeSet<&str> = targets().map(|(name, _)| name).collect();
    let mut bytes = 0;
    for entry in std::fs::read_dir(CORPORA).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&*name), "{name} is no target");
        let files = corpus(&name);
        assert!(files.len() < 300, "{name}: {} files", files.len());
        bytes += files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    }
    assert!(bytes < 1 << 20, "{bytes} bytes of corpora");
}

#[test]
fn a_bug_in_a_parser_would_be_found_by_the_replay() {
    // As if the parser forgot to look at these.
    for (name, planted) in [
        ("frames", &b"\x04"[..]),
        ("token", b"=="),
        ("answer", b"\"status\""),
        ("envelope", b"multiValueHeaders"),
        ("framing", b"Transfer-Encoding"),
        ("zip", b"PK\x06\x06"),
        ("zip", b".wh."),
        ("deflate", b"\x00\x00\xff\xff"),
        ("documents", b"\"layers\""),
        ("challenge", b"realm="),
        ("location", b"169.254"),
        ("credentials", b"identitytoken"),
    ] {
        let bug = |bytes: &[u8]| {
            assert!(!bytes.windows(planted.len()).any(|found| found == planted), "the planted bug");
        };
        assert!(!broken(name, bug).is_empty(), "{name}: no file reaches {planted:?}");
    }
}

#[test]
fn the_corpus_of_the_zip_parser_reaches_every_reason_but_those_of_time_and_size() {
    let all = corpus("zip");
    let codes: BTreeSet<&str> = all
        .iter()
        .filter_map(|(_, bytes)| vet(bytes, &ArchiveLimits::default()).err())
        .map(|refusal| refusal.code())
        .collect();
    assert!(codes.len() >= 30, "{codes:?}");
    assert!(all.iter().filter(|(_, bytes)| vet(bytes, &ArchiveLimits::default()).is_ok()).count() >= 20);
}

#[test]
fn the_streams_of_the_joiner_end_on_every_bit() {
    let mut used = BTreeSet::new();
    for (_, bytes) in corpus("deflate") {
        let (raw, plain) = stream(&bytes);
        let data = Data {
            raw: &raw,
            method: Method::Deflate,
            size: plain.len() as u64,
            crc: crc32fast::hash(&plain),
        };
        used.extend(
            data.decode("", &mut Inflater::new(), &mut |_| Ok(())).unwrap().map(|last| last.used_bits),
        );
    }
    assert_eq!(used, (1..=8).collect());
}
