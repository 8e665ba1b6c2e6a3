//! The corpora of the shim's fuzz targets, replayed: what once reached a corner of a parser reaches it in every test run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use runtime_shim::fuzz::TARGETS;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus")).join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}

/// The files with which the target panics.
fn broken(name: &str, run: impl Fn(&[u8])) -> Vec<PathBuf> {
    let panics = |bytes: &[u8]| catch_unwind(AssertUnwindSafe(|| run(bytes))).is_err();
    corpus(name).into_iter().filter(|(_, bytes)| panics(bytes)).map(|(path, _)| path).collect()
}

#[test]
fn every_file_of_every_corpus_keeps_the_promises_of_its_target() {
    for (name, run) in TARGETS {
        assert!(corpus(name).len() >= 10, "{name}: a corpus");
        assert_eq!(broken(name, run), Vec::<PathBuf>::new(), "{name}");
    }
}

#[test]
fn a_bug_in_a_parser_would_be_found_by_the_replay() {
    // As if the decoder forgot to look at the type, the token check at the padding, and so on.
    for (name, planted) in [
        ("frames", &b"\x04"[..]),
        ("token", b"=="),
        ("answer", b"\"status\""),
        ("envelope", b"multiValueHeaders"),
        ("framing", b"Transfer-Encoding"),
    ] {
        let bug = |bytes: &[u8]| {
            assert!(!bytes.windows(planted.len()).any(|found| found == planted), "the planted bug");
        };
        assert!(!broken(name, bug).is_empty(), "{name}: no file reaches {planted:?}");
    }
}
