//! Hostile and broken archives, byte by byte: which rule each breaks, and the stable name of its refusal. The
//! corpus of the fuzz target `zip` has them all.

use crate::archive::{Item, commented, deflate, field, zip, zip64_end};

/// One archive.
pub(crate) struct Case {
    /// The rule, as `docs/archives.md` counts them.
    pub(crate) rule: u8,
    pub(crate) name: &'static str,
    pub(crate) archive: Vec<u8>,
    pub(crate) code: &'static str,
}

pub(crate) fn a() -> Item {
    Item::deflated("a.js", b"hello hello hello hello")
}

pub(crate) fn named(name: &str) -> Vec<u8> {
    zip(&[Item::stored(name, b"x")])
}

/// An entry with the extra field that repeats its name.
pub(crate) fn with_second_name(name: &[u8], second: &[u8]) -> Item {
    a().with(|i| {
        i.name = name.to_vec();
        i.extra = field(0x7075, &[&[1], &crc32fast::hash(name).to_le_bytes()[..], second].concat());
    })
}

fn glued(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn changed(archive: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut out = archive.to_vec();
    out[at..at + bytes.len()].copy_from_slice(bytes);
    out
}

pub(crate) fn hostile() -> Vec<Case> {
    let rules = [one_view(), extents(), methods(), names(), whiteouts(), collisions(), types(), data()];
    rules.into_iter().flatten().collect()
}

fn cases(rule: u8, cases: Vec<(&'static str, Vec<u8>, &'static str)>) -> impl Iterator<Item = Case> + use<> {
    cases.into_iter().map(move |(name, archive, code)| Case { rule, name, archive, code })
}

fn one_view() -> Vec<Case> {
    let good = zip(&[a()]);
    let end = good.len() - 22;
    let count = |n: u8| changed(&changed(&good, end + 8, &[n]), end + 10, &[n]);
    let wide = zip64_end(&good);
    let extensible = {
        // Four bytes more in the 64-bit end record, which says so.
        let (head, tail) = wide.split_at(end + 56);
        changed(&glued(&[head, b"more", tail]), end + 4, &48u64.to_le_bytes())
    };
    let local = |change: fn(&mut Item)| zip(&[a().with(change)]);
    cases(
        1,
        vec![
            ("empty file", vec![], "zip.not_a_zip"),
            ("text", b"module.exports = 1".to_vec(), "zip.not_a_zip"),
            ("cut off", good[..good.len() - 30].to_vec(), "zip.not_a_zip"),
            ("prefix", glued(&[b"#!/bin/sh\n", &good]), "zip.gap"),
            ("prefix, offsets right", local(|i| i.gap = b"MZ".to_vec()), "zip.prefix"),
            ("trailer", glued(&[&good, b"x"]), "zip.trailer"),
            ("two archives", glued(&[&good, &good]), "zip.gap"),
            ("archive as comment", commented(&good, &good), "zip.several_ends"),
            (
                "end record in the comment",
                commented(&good, &[b"PK\x05\x06".as_slice(), &[0; 30]].concat()),
                "zip.trailer",
            ),
            ("comment cut off", changed(&good, good.len() - 2, &[1]), "zip.damaged"),
            ("gap", zip(&[a(), Item::stored("b", b"x").with(|i| i.gap = vec![0])]), "zip.gap"),
            ("gap before the directory", local(|i| i.raw.push(0)), "zip.gap"),
            ("gap before the end", glued(&[&good[..end], b"x", &good[end..]]), "zip.gap"),
            ("record without signature", changed(&good, end - 50, b"XX"), "zip.damaged"),
            ("directory past the end", changed(&good, end + 16, &[0xff]), "zip.damaged"),
            ("too many announced", count(2), "zip.count"),
            ("too few announced", count(0), "zip.count"),
            ("64-bit end not there", changed(&wide, end + 56 + 8, &[1]), "zip.damaged"),
            ("ends disagree", changed(&wide, wide.len() - 22 + 8, &[9, 0, 9, 0]), "zip.damaged"),
            ("64-bit end with more", extensible, "zip.damaged"),
            ("64-bit value missing", local(|i| i.size = u32::MAX), "zip.damaged"),
            ("local name", local(|i| i.local_name = Some(b"b.js".to_vec())), "zip.headers_disagree"),
            ("local method", local(|i| i.local_method = Some(0)), "zip.headers_disagree"),
            ("local flags", local(|i| i.local_flags = Some(1 << 11)), "zip.headers_disagree"),
            ("local crc", local(|i| i.local = Some((1, i.compressed, i.size))), "zip.headers_disagree"),
            ("local size", local(|i| i.local = Some((i.crc, i.compressed, 1))), "zip.headers_disagree"),
            (
                "local 64-bit size",
                zip(&[a().zip64().with(|i| i.local_extra[4] ^= 1)]),
                "zip.headers_disagree",
            ),
            (
                "descriptor",
                zip(&[a().described(true).with(|i| i.descriptor[5] ^= 1)]),
                "zip.headers_disagree",
            ),
            (
                "no descriptor",
                zip(&[a().described(true).with(|i| i.descriptor.clear())]),
                "zip.headers_disagree",
            ),
            ("no header", local(|i| (i.gap, i.offset) = (b"PK".to_vec(), Some(0))), "zip.damaged"),
            (
                "extra field twice",
                zip(&[a().zip64().with(|i| i.extra.extend(i.extra.clone()))]),
                "zip.extra_field",
            ),
            (
                "second name of an unknown version",
                zip(&[with_second_name(b"\x82", b"x").with(|i| i.extra[4] = 2)]),
                "zip.extra_field",
            ),
            (
                "local second name",
                zip(
                    &[with_second_name(b"\x82", b"x").with(|i| i.local_extra = std::mem::take(&mut i.extra))],
                ),
                "zip.headers_disagree",
            ),
            ("extra field cut off", local(|i| i.extra = vec![1, 0, 9, 0, 1]), "zip.extra_field"),
        ],
    )
    .collect()
}

fn extents() -> Vec<Case> {
    // The data of the first is the second entry whole: the overlap that makes bombs of kilobytes.
    let inner = a().with(|i| i.name = b"inner".to_vec());
    let local_header = 30 + 5;
    let quoted = {
        let inner_bytes = [&zip(std::slice::from_ref(&inner))[..local_header], &inner.raw].concat();
        let outer = Item::stored("outer", &inner_bytes);
        let mut both = zip(&[outer.clone(), inner.clone().with(|i| i.offset = Some(35))]);
        // The second entry's own bytes go: the directory follows the first.
        let first = 35 + inner_bytes.len();
        both.drain(first..first + local_header + inner.raw.len());
        let end = both.len() - 22;
        changed(&both, end + 16, &(first as u32).to_le_bytes())
    };
    let huge = |size: u64, compressed: u64| {
        zip(&[a().with(|i| {
            i.extra = field(1, &[size.to_le_bytes(), compressed.to_le_bytes()].concat());
            (i.size, i.compressed, i.local) = (u32::MAX, u32::MAX, Some((0, 0, 0)));
        })])
    };
    let far = a().with(|i| (i.extra, i.offset) = (field(1, &u64::MAX.to_le_bytes()), Some(u32::MAX)));
    let announced = {
        let wide = zip64_end(&zip(&[a()]));
        let at = wide.len() - 22 - 20 - 56 + 24;
        changed(&wide, at, &[[0xff; 8], [0xff; 8]].concat())
    };
    cases(
        2,
        vec![
            (
                "same offset",
                zip(&[a(), a().with(|i| (i.name, i.offset) = (b"b.js".to_vec(), Some(0)))]),
                "zip.overlap",
            ),
            ("entry inside an entry", quoted, "zip.overlap"),
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
            ("compressed size overflows", huge(23, u64::MAX), "zip.truncated"),
            ("size overflows", huge(u64::MAX, 1), "zip.file_size"),
            ("offset overflows", zip(&[far]), "zip.prefix"),
            ("2^64 entries", announced, "zip.entries"),
        ],
    )
    .collect()
}

fn methods() -> Vec<Case> {
    let flags = |flags: u16| zip(&[a().with(|i| i.flags = flags)]);
    let method = |method: u16| zip(&[a().with(|i| i.method = method)]);
    cases(
        4,
        vec![
            ("encrypted", flags(1), "zip.encrypted"),
            ("strongly encrypted", flags(1 << 6), "zip.encrypted"),
            ("masked", flags(1 << 13), "zip.encrypted"),
            ("enhanced deflating", flags(1 << 4), "zip.flags"),
            ("patch data", flags(1 << 5), "zip.flags"),
            ("unknown flag", flags(1 << 9), "zip.flags"),
            ("shrunk", method(1), "zip.method"),
            ("deflate64", method(9), "zip.method"),
            ("bzip2", method(12), "zip.method"),
            ("lzma", method(14), "zip.method"),
            ("zstd", method(93), "zip.method"),
            ("AES", method(99), "zip.method"),
            ("disk", zip(&[a().with(|i| i.disk = 1)]), "zip.split"),
            (
                "disk in the end record",
                changed(&zip(&[a()]), zip(&[a()]).len() - 18, &[1, 0, 1, 0]),
                "zip.split",
            ),
        ],
    )
    .collect()
}

fn names() -> Vec<Case> {
    let fat = |name: &[u8]| zip(&[a().with(|i| (i.name, i.host) = (name.to_vec(), 0))]);
    cases(
        5,
        vec![
            ("..", named("../x"), "zip.path_escapes"),
            ("inner ..", named("a/../x"), "zip.path_escapes"),
            (".. at the end", named("a/.."), "zip.path_escapes"),
            ("absolute", named("/etc/passwd"), "zip.path_absolute"),
            ("two slashes", named("//server/x"), "zip.path_absolute"),
            ("drive", named("C:/x"), "zip.path_drive"),
            ("backslash", named("a\\b"), "zip.path_backslash"),
            ("backslash, then ..", fat(b"..\\x"), "zip.path_escapes"),
            ("backslash, absolute", fat(b"\\x"), "zip.path_absolute"),
            ("backslash, drive", fat(b"c:\\x"), "zip.path_drive"),
            ("NUL", named("a\0b"), "zip.path_control"),
            ("newline", named("a\nb"), "zip.path_control"),
            ("escape", named("a\x1b[2J"), "zip.path_control"),
            (
                "C1 control",
                zip(&[a().with(|i| (i.name, i.flags) = ("a\u{85}".into(), 1 << 11))]),
                "zip.path_control",
            ),
            ("empty", named(""), "zip.empty_name"),
            (
                "no UTF-8",
                zip(&[a().with(|i| (i.name, i.flags) = (vec![b'a', 0xff], 1 << 11))]),
                "zip.name_encoding",
            ),
            ("second name", zip(&[with_second_name(b"a.js", b"../x")]), "zip.second_name"),
            ("second name leaves", zip(&[with_second_name(b"\x82", b"../x")]), "zip.path_escapes"),
        ],
    )
    .collect()
}

fn whiteouts() -> Vec<Case> {
    cases(
        6,
        vec![
            ("whiteout", named("d/.wh.shim"), "zip.whiteout"),
            ("opaque", named(".wh..wh..opq"), "zip.whiteout"),
            ("directory", named(".wh.d/x"), "zip.whiteout"),
        ],
    )
    .collect()
}

fn collisions() -> Vec<Case> {
    let file = |name: &str| Item::stored(name, b"");
    cases(
        7,
        vec![
            ("twice", zip(&[a(), a()]), "zip.duplicate"),
            ("twice, normalised", zip(&[a(), file("./a.js")]), "zip.duplicate"),
            ("twice, slashes", zip(&[file("d/a"), file("d//a")]), "zip.duplicate"),
            ("twice, backslash", zip(&[file("d/a"), file("d\\a").with(|i| i.host = 0)]), "zip.duplicate"),
            ("directory twice", zip(&[Item::directory("d/"), Item::directory("d/")]), "zip.duplicate"),
            ("file and directory of one name", zip(&[file("d"), Item::directory("d/")]), "zip.duplicate"),
            ("file and directory", zip(&[file("a"), file("a/b")]), "zip.file_as_directory"),
            ("file far above", zip(&[file("a/b/c/d"), file("a/b")]), "zip.file_as_directory"),
        ],
    )
    .collect()
}

fn types() -> Vec<Case> {
    let unix = |mode: u32| zip(&[a().with(|i| i.mode = mode)]);
    let link = |name: &str, target: &str| zip(&[Item::link(name, target)]);
    cases(
        8,
        vec![
            ("block device", unix(0o060_644), "zip.special"),
            ("character device", unix(0o020_644), "zip.special"),
            ("pipe", unix(0o010_644), "zip.special"),
            ("socket", unix(0o140_644), "zip.special"),
            ("no type at all", unix(0o170_644), "zip.kind"),
            ("directory without a slash", unix(0o040_755), "zip.kind"),
            ("file with a slash", zip(&[Item::stored("d/", b"")]), "zip.kind"),
            (
                "directory with data",
                zip(&[Item::directory("d/").with(|i| {
                    (i.raw, i.size, i.compressed) = (b"x".to_vec(), 1, 1);
                })]),
                "zip.kind",
            ),
            (
                "directory with a long stream",
                zip(&[Item::stream("d/", b"", [vec![0, 0, 0, 0xff, 0xff], vec![0; 40]].concat())
                    .with(|i| i.mode = 0o040_755)]),
                "zip.kind",
            ),
            ("directory with a checksum", zip(&[Item::directory("d/").with(|i| i.crc = 1)]), "zip.checksum"),
            ("link out", link("d/l", "../../x"), "zip.link_escapes"),
            ("link far out", link("l", "../../.."), "zip.link_escapes"),
            ("link through a link", link("l", "d/../../x"), "zip.link_escapes"),
            ("absolute link", link("l", "/etc"), "zip.link_escapes"),
            ("link with NUL", link("l", "a\0b"), "zip.link_escapes"),
            ("link with a backslash", link("l", "..\\x"), "zip.link_escapes"),
            ("empty link", link("l", ""), "zip.link_length"),
            ("long link", link("l", &"x".repeat(4097)), "zip.link_length"),
            (
                "link with a long stream",
                zip(&[Item::stream(
                    "l",
                    b"x",
                    [[0, 0, 0, 0xff, 0xff].repeat(1000), deflate(b"x", 6)].concat(),
                )
                .with(|i| i.mode = 0o120_777)]),
                "zip.link_length",
            ),
            (
                "link, then through it",
                zip(&[Item::link("l", "d"), Item::stored("l/x", b"")]),
                "zip.link_as_directory",
            ),
        ],
    )
    .collect()
}

/// What only decoding shows. It belongs to rule 3: the declared values are what the limits were held against.
fn data() -> Vec<Case> {
    let stream = |plain: &[u8], raw: Vec<u8>| zip(&[Item::stream("a", plain, raw)]);
    let hello = deflate(b"hello", 6);
    cases(
        3,
        vec![
            ("crc", zip(&[a().with(|i| i.crc ^= 1)]), "zip.checksum"),
            ("stored crc", zip(&[Item::stored("a", b"x").with(|i| i.crc ^= 1)]), "zip.checksum"),
            ("size too small", zip(&[Item::deflated("a", &[7; 1000]).with(|i| i.size = 10)]), "zip.size"),
            ("size too large", zip(&[a().with(|i| i.size = 500)]), "zip.size"),
            ("stored size", zip(&[Item::stored("a", b"xyz").with(|i| i.size = 2)]), "zip.size"),
            ("no deflate", stream(b"x", vec![0xff; 9]), "zip.data"),
            ("stream cut off", stream(b"hello", hello[..4].to_vec()), "zip.data"),
            ("nothing, for one byte", stream(b"x", vec![]), "zip.data"),
            ("checksum of nothing", zip(&[Item::stored("a", b"").with(|i| i.crc = 1)]), "zip.checksum"),
            ("behind the stream", stream(b"hello", glued(&[&hello, b"zz"])), "zip.data"),
            ("two streams", stream(b"hello", glued(&[&hello, &hello])), "zip.data"),
            ("distance before the start", stream(b"aaaa", vec![0x4b, 0x04, 0x42, 0x00]), "zip.data"),
            ("empty file with a stream", stream(b"", b"zz".to_vec()), "zip.size"),
        ],
    )
    .collect()
}
