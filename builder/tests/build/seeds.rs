//! The fuzzer of the zip parser starts from every hostile archive, and from the archives of macOS and Windows.

use std::path::Path;

use crate::{cases, producers};

/// With `ZIPSHIP_SEED_CORPUS` set, what is missing is written, with archives of this machine's tools beside.
#[test]
fn the_corpus_of_the_fuzzer_has_every_hostile_archive() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/zip"));
    let at = |archive: &[u8]| folder.join(&oci::Digest::of(archive).hex()[..40]);
    let hostile = cases::hostile().into_iter().map(|case| (case.name, case.archive));
    let known: Vec<(&str, Vec<u8>)> = hostile.chain(producers::fixtures::all()).collect();
    if std::env::var_os("ZIPSHIP_SEED_CORPUS").is_some() {
        std::fs::create_dir_all(folder).unwrap();
        for (_, archive) in known.iter().chain(&producers::small()) {
            std::fs::write(at(archive), archive).unwrap();
        }
    }
    let missing: Vec<&str> =
        known.iter().filter(|(_, archive)| !at(archive).is_file()).map(|(name, _)| *name).collect();
    assert!(missing.is_empty(), "write them with ZIPSHIP_SEED_CORPUS=1: {missing:?}");
}
