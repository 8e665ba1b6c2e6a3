//! Hostile and broken archives: each is refused for its own reason, by the stable code of it.

use std::time::Duration;

use builder::layer::{self, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, Inflater, Kind, Refusal, vet};
use proptest::prelude::*;

use crate::archive::{Item, deflate, zip};

/// Vets, and decodes what was vetted, as a build does.
fn check(archive: &[u8], limits: &ArchiveLimits) -> Result<(), Refusal> {
    let archive = vet(archive, limits)?;
    layer::make(Part::Code, &Tree::of(&archive), limits.decode_time).map(|_| ())
}

fn code(archive: &[u8], limits: &ArchiveLimits) -> &'static str {
    check(archive, limits).map_or_else(|refusal| refusal.code(), |()| "accepted")
}

fn a() -> Item {
    Item::deflated("a.js", b"hello hello hello hello")
}

fn named(name: &str) -> Vec<u8> {
    zip(&[Item::stored(name, b"x")])
}

fn field(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(body.len() as u16).to_le_bytes(), body].concat()
}

fn glued(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The archive with its end record's comment set.
fn commented(archive: &[u8], comment: &[u8]) -> Vec<u8> {
    let mut out = archive[..archive.len() - 2].to_vec();
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend(comment);
    out
}

#[test]
fn every_attack_is_refused_for_its_own_reason() {
    let good = zip(&[a()]);
    let count = |n: u8| {
        let mut out = good.clone();
        let at = out.len() - 22;
        (out[at + 8], out[at + 10]) = (n, n);
        out
    };
    let unix = |mode: u32| zip(&[a().with(|i| i.mode = mode)]);
    let same = zip(&[a(), a().with(|i| (i.name, i.offset) = (b"b.js".to_vec(), Some(0)))]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        // 1. One view.
        ("empty file", vec![], "zip.not_a_zip"),
        ("text", b"module.exports = 1".to_vec(), "zip.not_a_zip"),
        ("cut off", good[..good.len() - 30].to_vec(), "zip.not_a_zip"),
        ("prefix", glued(&[b"#!/bin/sh\n", &good]), "zip.gap"),
        ("prefix, offsets right", zip(&[a().with(|i| i.gap = b"MZ".to_vec())]), "zip.prefix"),
        ("trailer", glued(&[&good, b"x"]), "zip.trailer"),
        ("two archives", glued(&[&good, &good]), "zip.gap"),
        ("archive as comment", commented(&good, &good), "zip.several_ends"),
        ("gap", zip(&[a(), Item::stored("b", b"x").with(|i| i.gap = vec![0])]), "zip.gap"),
        ("too many announced", count(2), "zip.count"),
        ("too few announced", count(0), "zip.count"),
        ("local name", zip(&[a().with(|i| i.local_name = Some(b"b.js".to_vec()))]), "zip.headers_disagree"),
        ("local method", zip(&[a().with(|i| i.local_method = Some(0))]), "zip.headers_disagree"),
        ("local flags", zip(&[a().with(|i| i.local_flags = Some(1 << 11))]), "zip.headers_disagree"),
        (
            "local crc",
            zip(&[a().with(|i| i.local = Some((1, i.compressed, i.size)))]),
            "zip.headers_disagree",
        ),
        (
            "local size",
            zip(&[a().with(|i| i.local = Some((i.crc, i.compressed, 1)))]),
            "zip.headers_disagree",
        ),
        ("descriptor", zip(&[a().described(true).with(|i| i.descriptor[5] ^= 1)]), "zip.headers_disagree"),
        ("no descriptor", zip(&[a().described(true).with(|i| i.descriptor.clear())]), "zip.headers_disagree"),
        (
            "no header",
            zip(&[a().with(|i| i.gap = b"PK".to_vec()).with(|i| i.offset = Some(0))]),
            "zip.damaged",
        ),
        // 2. Extents.
        ("overlap", same, "zip.overlap"),
        (
            "past the end",
            zip(&[a().with(|i| (i.compressed, i.local) = (9999, Some((0, 0, 0))))]),
            "zip.truncated",
        ),
        (
            "zeros in the directory",
            zip(&[a().with(|i| (i.crc, i.compressed, i.size) = (0, 0, 0))]),
            "zip.gap",
        ),
        // 4. Methods and flags.
        ("encrypted", zip(&[a().with(|i| i.flags = 1)]), "zip.encrypted"),
        ("masked", zip(&[a().with(|i| i.flags = 1 << 13)]), "zip.encrypted"),
        ("patch data", zip(&[a().with(|i| i.flags = 1 << 5)]), "zip.flags"),
        ("deflate64", zip(&[a().with(|i| i.method = 9)]), "zip.method"),
        ("disk", zip(&[a().with(|i| i.disk = 1)]), "zip.split"),
        // 5. Names.
        ("..", named("../x"), "zip.path_escapes"),
        ("inner ..", named("a/../x"), "zip.path_escapes"),
        ("absolute", named("/etc/passwd"), "zip.path_absolute"),
        ("drive", named("C:/x"), "zip.path_drive"),
        ("backslash", named("a\\b"), "zip.path_backslash"),
        (
            "backslash, then ..",
            zip(&[a().with(|i| (i.name, i.host) = (b"..\\x".to_vec(), 0))]),
            "zip.path_escapes",
        ),
        ("NUL", named("a\0b"), "zip.path_control"),
        ("newline", named("a\nb"), "zip.path_control"),
        ("empty", named(""), "zip.empty_name"),
        (
            "no UTF-8",
            zip(&[a().with(|i| (i.name, i.flags) = (vec![b'a', 0xff], 1 << 11))]),
            "zip.name_encoding",
        ),
        (
            "second name",
            zip(&[a().with(|i| {
                i.extra = field(0x7075, &glued(&[&[1], &crc32fast::hash(b"a.js").to_le_bytes(), b"../x"]))
            })]),
            "zip.second_name",
        ),
        // 6. and 7.
        ("whiteout", named("d/.wh.shim"), "zip.whiteout"),
        ("opaque", named(".wh..wh..opq"), "zip.whiteout"),
        ("twice", zip(&[a(), a()]), "zip.duplicate"),
        ("twice, normalised", zip(&[a(), Item::stored("./a.js", b"")]), "zip.duplicate"),
        (
            "file and directory",
            zip(&[Item::stored("a", b""), Item::stored("a/b", b"")]),
            "zip.file_as_directory",
        ),
        // 8. Types.
        ("device", unix(0o060_644), "zip.special"),
        ("pipe", unix(0o010_644), "zip.special"),
        ("socket", unix(0o140_644), "zip.special"),
        ("directory without a slash", unix(0o040_755), "zip.kind"),
        ("directory with data", named("d/"), "zip.kind"),
        ("link out", zip(&[Item::link("d/l", "../../x")]), "zip.link_escapes"),
        ("link through a link", zip(&[Item::link("l", "d/../../x")]), "zip.link_escapes"),
        ("absolute link", zip(&[Item::link("l", "/etc")]), "zip.link_escapes"),
        ("empty link", zip(&[Item::link("l", "")]), "zip.link_length"),
        ("long link", zip(&[Item::link("l", &"x".repeat(4097))]), "zip.link_length"),
        ("below a link", zip(&[Item::link("l", "d"), Item::stored("l/x", b"")]), "zip.link_as_directory"),
        // Data.
        ("crc", zip(&[a().with(|i| i.crc ^= 1)]), "zip.checksum"),
        ("stored crc", zip(&[Item::stored("a", b"x").with(|i| i.crc ^= 1)]), "zip.checksum"),
        ("size too small", zip(&[a().with(|i| i.size = 5)]), "zip.size"),
        ("size too large", zip(&[a().with(|i| i.size = 500)]), "zip.size"),
        ("no deflate", zip(&[Item::stream("a", b"x", vec![0xff; 9])]), "zip.data"),
        (
            "stream cut off",
            zip(&[Item::stream("a", b"hello", deflate(b"hello", 6)[..4].to_vec())]),
            "zip.data",
        ),
        (
            "behind the stream",
            zip(&[Item::stream("a", b"x", glued(&[&deflate(b"x", 6), b"zz"]))]),
            "zip.data",
        ),
        ("empty file with a stream", zip(&[Item::stream("a", b"", b"zz".to_vec())]), "zip.size"),
    ];
    let limits = ArchiveLimits::default();
    let wrong: Vec<String> = cases
        .iter()
        .map(|(name, archive, expected)| (name, code(archive, &limits), expected))
        .filter(|(_, found, expected)| found != *expected)
        .map(|(name, found, expected)| format!("{name}: {found}, not {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_limit_is_kept() {
    let all = ArchiveLimits::default();
    let bomb = zip(&[Item::deflated("zeros", &vec![0; 20 << 20])]);
    let two = zip(&[Item::stored("d/a", b"12345"), Item::stored("d/b", b"12345")]);
    let cases: Vec<(ArchiveLimits, &[u8], &str)> = vec![
        (ArchiveLimits { archive_bytes: 10, ..all }, &two, "zip.archive_size"),
        (ArchiveLimits { entries: 1, ..all }, &two, "zip.entries"),
        (ArchiveLimits { unpacked_bytes: 9, ..all }, &two, "zip.unpacked_size"),
        (ArchiveLimits { file_bytes: 4, ..all }, &two, "zip.file_size"),
        (ArchiveLimits { path_bytes: 2, ..all }, &two, "zip.path_length"),
        (ArchiveLimits { depth: 1, ..all }, &two, "zip.depth"),
        (ArchiveLimits { names_bytes: 5, ..all }, &two, "zip.names_length"),
        (ArchiveLimits { decode_time: Duration::ZERO, ..all }, &two, "zip.decode_time"),
        (all, &bomb, "zip.ratio"),
        (ArchiveLimits { file_ratio: 100, ..all }, &bomb, "zip.file_ratio"),
        (ArchiveLimits { ratio: 2000, ..all }, &bomb, "accepted"),
    ];
    for (limits, archive, expected) in cases {
        assert_eq!(code(archive, &limits), expected);
    }
}

#[test]
fn what_honest_tools_write_is_accepted() {
    let utf8 =
        field(0x7075, &glued(&[&[1], &crc32fast::hash("é.js".as_bytes()).to_le_bytes(), "é.js".as_bytes()]));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "descriptor",
            zip(&[a().described(true), a().described(false).with(|i| i.name = b"b".to_vec())]),
            "a.js b",
        ),
        ("zeros beside the data", zip(&[a().with(|i| i.local = Some((0, 0, 0)))]), "a.js"),
        ("comment", commented(&zip(&[a()]), b"made by hand"), "a.js"),
        ("windows", zip(&[a().with(|i| (i.name, i.host) = (b"d\\a.js".to_vec(), 0))]), "d/a.js"),
        ("dots and slashes", zip(&[a().with(|i| i.name = b"./d//a.js".to_vec())]), "d/a.js"),
        ("cp437", zip(&[a().with(|i| i.name = b"\x82.js".to_vec())]), "é.js"),
        ("UTF-8", zip(&[a().with(|i| (i.name, i.flags) = ("é.js".into(), 1 << 11))]), "é.js"),
        ("second name", zip(&[a().with(|i| (i.name, i.extra) = ("é.js".into(), utf8))]), "é.js"),
        ("litter", zip(&[a(), Item::stored("__MACOSX/x", b""), Item::stored("d/._a", b"")]), "a.js"),
        ("links", zip(&[Item::link("node_modules/.bin/x", "../x/y.js"), a()]), "a.js node_modules/.bin/x"),
        ("nested archive", zip(&[Item::stored("in.zip", &zip(&[a()]))]), "in.zip"),
        ("nothing", zip(&[]), ""),
    ];
    for (name, archive, expected) in cases {
        let limits = ArchiveLimits::default();
        let vetted = vet(&archive, &limits).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let paths: Vec<&str> = vetted.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths.join(" "), expected, "{name}");
        check(&archive, &limits).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }
}

#[test]
fn sentences_are_for_users() {
    let limits = ArchiveLimits::default();
    let said = |archive: &[u8]| check(archive, &limits).unwrap_err().to_string();
    assert!(said(b"hello").starts_with("the archive is not a zip: "));
    assert_eq!(said(&[0x1f, 0x8b, 8, 0]), "the archive is not a zip: it looks like gzip (a .tar.gz?)");
    assert_eq!(said(&named("../x")), "\"../x\": the path leaves the archive");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    /// A changed byte anywhere never panics, and never changes a file unnoticed.
    #[test]
    fn changed_bytes_are_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let text = b"hello hello hello hello";
        let mut archive = zip(&[a(), a().described(true).with(|i| i.name = b"d/b".to_vec()), Item::link("d/l", "b")]);
        for (at, byte) in changes {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        if let Some(cut) = cut {
            archive.truncate(cut.index(archive.len()));
        }
        let limits = ArchiveLimits::default();
        if check(&archive, &limits).is_ok() {
            for entry in vet(&archive, &limits).unwrap().entries {
                if let Kind::File { data, .. } = entry.kind {
                    let bytes = data.read(&entry.path, &mut Inflater::new()).unwrap();
                    prop_assert!(bytes == text || bytes == b"b", "{}: {bytes:?}", entry.path);
                }
            }
        }
    }
}
