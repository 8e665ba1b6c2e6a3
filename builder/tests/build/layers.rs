//! Layers: what is in them, and that the same files give the same bytes.

use std::io::Read;
use std::time::Duration;

use builder::layer::{self, LayerOptions, Made, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, vet};

use crate::archive::{Item, deflate, zip};

fn make(archive: &[u8]) -> Made {
    let vetted = vet(archive, &ArchiveLimits::default()).unwrap();
    layer::make(Part::Code, &Tree::of(&vetted), Duration::from_secs(60), &LayerOptions::default()).unwrap()
}

/// A few megabytes, so that there are several chunks and threads.
fn many() -> Vec<(String, Vec<u8>)> {
    (0..300u32)
        .map(|i| (format!("d{}/f{i}", i % 7), format!("line {i}\n").repeat(2000).into_bytes()))
        .collect()
}

#[test]
fn the_same_files_give_the_same_layer() {
    let files = many();
    let at = |level: u32, reverse: bool| {
        let mut items: Vec<Item> =
            files.iter().map(|(name, bytes)| Item::stream(name, bytes, deflate(bytes, level))).collect();
        if reverse {
            items.reverse();
        }
        make(&zip(&items))
    };
    let one = at(6, false);
    assert_eq!(one.layer.digest(), at(6, false).layer.digest());
    assert_eq!(one.layer.digest(), at(6, true).layer.digest());
    let other = at(1, true);
    assert_eq!(one.layer.diff_id(), other.layer.diff_id());
    assert_ne!(one.layer.digest(), other.layer.digest());
    assert_eq!(one.compressed_bytes, 0);
    // Not listing directories, or listing them, is the tool's whim.
    let mut items: Vec<Item> = files.iter().map(|(name, bytes)| Item::stored(name, bytes)).collect();
    items.push(Item::stored("d1/", b"").with(|i| i.mode = 0o040_700));
    let stored = make(&zip(&items));
    assert_eq!(one.layer.diff_id(), stored.layer.diff_id());
    assert_eq!(stored.compressed_bytes, files.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
}

#[test]
fn a_layer_never_changes_between_versions_by_accident() {
    let made = make(&zip(&[Item::stored("handler.js", b"exports.handle = () => 1\n")]));
    assert_eq!(
        made.layer.diff_id().as_str(),
        GOLDEN_DIFF_ID,
        "changed headers invalidate everybody's layers"
    );
}

const GOLDEN_DIFF_ID: &str = "sha256:2d3d1c723ba6726b9e3f68c090731de617d3c362e134e7a464f5141138917dfb";

#[test]
fn headers_are_the_same_for_everybody() {
    let long = format!("{}/{}", "x".repeat(120), "é".repeat(80));
    let split = format!("{}/{}", "p".repeat(90), "q".repeat(60));
    let archive = zip(&[
        Item::stored(&split, b"1"),
        Item::stored("run", b"#!").with(|i| i.mode = 0o104_777),
        Item::stored("a/b", b"").with(|i| i.mode = 0o100_000),
        Item::stored("empty/", b"").with(|i| i.mode = 0o040_700),
        Item::deflated(&long, b"long").with(|i| i.flags = 1 << 11),
        Item::link("l", &format!("a/{}", "y".repeat(120))),
    ]);
    let made = make(&archive);
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(made.layer.open().unwrap()).read_to_end(&mut tar).unwrap();
    assert_eq!(tar.len() as u64, made.tar_bytes);
    let mut found = Vec::new();
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 0);
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().map(|l| l.len());
        found.push((path, header.uid().unwrap(), header.mode().unwrap(), link));
    }
    let root = "home/app/function";
    let expected = [
        ("home/".to_owned(), 0, 0o755, None),
        ("home/app/".to_owned(), 1000, 0o755, None),
        (format!("{root}/"), 1000, 0o755, None),
        (format!("{root}/a/"), 1000, 0o755, None),
        (format!("{root}/a/b"), 1000, 0o644, None),
        (format!("{root}/empty/"), 1000, 0o755, None),
        (format!("{root}/l"), 1000, 0o777, Some(122)),
        (format!("{root}/{}/", "p".repeat(90)), 1000, 0o755, None),
        (format!("{root}/{split}"), 1000, 0o644, None),
        (format!("{root}/run"), 1000, 0o755, None),
        (format!("{root}/{}/", "x".repeat(120)), 1000, 0o755, None),
        (format!("{root}/{long}"), 1000, 0o644, None),
    ];
    assert_eq!(found, expected);
}
