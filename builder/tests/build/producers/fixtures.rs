//! Archives as tools of macOS and Windows write them, made here by their known traits: who made it, attributes, flags,
//! extra fields, names, directories. Traits: the format's own description (4.4.2 made by, 4.5.5 NTFS), Info-ZIP's list
//! of extra fields (0x5855 times and owner, 0x7075 second name), and the tools' archives.

use builder::zip::{ArchiveLimits, Kind, vet};

use super::{Files, diff_id, read};
use crate::archive::{Item, field, zip};

const ARCHIVE: u16 = 0x20;
const DIRECTORY: u16 = 0x10;
const FAT: u8 = 0;
const UTF8: u16 = 1 << 11;
const HANDLER: &[u8] = b"exports.handle = () => 'hi'\n";
const TEXT: &[u8] = b"text text text text text text\n";

/// Times of NTFS: one attribute of 24 bytes.
fn ntfs() -> Vec<u8> {
    field(0x000a, &[&[0, 0, 0, 0, 1, 0, 24, 0][..], &[0x11; 24]].concat())
}

fn second_name(first: &[u8], name: &str) -> Vec<u8> {
    field(0x7075, &[&[1], &crc32fast::hash(first).to_le_bytes()[..], name.as_bytes()].concat())
}

fn fat(name: &[u8], bytes: &[u8]) -> Item {
    Item::deflated("", bytes).with(|i| (i.name, i.host, i.mode, i.dos) = (name.to_vec(), FAT, 0, ARCHIVE))
}

fn fat_directory(name: &[u8]) -> Item {
    fat(name, b"").with(|i| (i.raw, i.compressed, i.method, i.dos) = (vec![], 0, 0, DIRECTORY))
}

/// Finder's "Compress", and `ditto -c -k --sequesterRsrc`: sizes in descriptors, times and owner in extra fields,
/// resource forks beside, names as the disk has them. `flag`: newer versions mark names as UTF-8.
fn archive_utility(flag: u16) -> Vec<u8> {
    let mac = |item: Item| {
        item.with(|i| {
            (i.version, i.extra, i.local_extra) = (21, field(0x5855, &[1; 8]), field(0x5855, &[1; 12]));
            i.flags |= if i.name.is_ascii() { 0 } else { flag };
        })
    };
    let file = |name: &str, bytes: &[u8]| mac(Item::deflated(name, bytes)).described(true);
    zip(&[
        file("handler.js", HANDLER),
        mac(Item::directory("__MACOSX/")),
        file("__MACOSX/._handler.js", &[0, 5, 0x16, 7, 0, 2, 0, 0]),
        mac(Item::directory("src/")),
        file("src/.DS_Store", b"\0\0\0\x01Bud1"),
        file("src/text.txt", TEXT),
        file("src/._text.txt", &[0, 5, 0x16, 7]),
        // The disk's names are decomposed: e, then an accent.
        file("e\u{301}.txt", b"1"),
        mac(Item::link("link", "src/text.txt")).described(true),
    ])
}

/// Explorer's "Compressed folder": no directories, names in the machine's old code page.
fn explorer() -> Vec<u8> {
    zip(&[fat(b"handler.js", HANDLER), fat(b"src/text.txt", TEXT), fat(b"\x82.txt", b"1")])
}

/// `Compress-Archive` of PowerShell 5: backslashes, also behind directories.
fn compress_archive() -> Vec<u8> {
    zip(&[
        fat(b"handler.js", HANDLER),
        fat(b"src\\text.txt", TEXT),
        fat("é.txt".as_bytes(), b"1").with(|i| i.flags = UTF8),
        fat_directory(b"src\\none\\"),
    ])
}

/// `ZipFile.CreateFromDirectory` of .NET on Windows, into a stream that cannot seek; no attributes at all.
fn dot_net() -> Vec<u8> {
    let file = |name: &[u8], bytes: &[u8]| fat(name, bytes).with(|i| i.dos = 0).described(true);
    zip(&[
        file(b"handler.js", HANDLER),
        file(b"src/text.txt", TEXT),
        fat("é.txt".as_bytes(), b"1").with(|i| (i.flags, i.dos) = (UTF8, 0)).described(true),
        fat_directory(b"src/none/").with(|i| i.dos = 0),
    ])
}

/// WinRAR: how hard it tried, NTFS' times, an OEM name and its second name in UTF-8.
fn winrar() -> Vec<u8> {
    let rar = |item: Item| item.with(|i| i.flags |= 0b010).with(|i| i.extra.extend(ntfs()));
    zip(&[
        rar(fat(b"handler.js", HANDLER)),
        rar(fat(b"src/text.txt", TEXT)),
        rar(fat(b"\x82.txt", b"1").with(|i| i.extra = second_name(b"\x82.txt", "é.txt"))),
        rar(fat_directory(b"src/none/")),
        rar(fat_directory(b"src/")),
    ])
}

/// 7-Zip on Windows: version 63, NTFS' times, OEM names where they suffice.
fn seven_zip() -> Vec<u8> {
    let seven = |item: Item| item.with(|i| (i.version, i.extra) = (63, ntfs()));
    zip(&[
        seven(fat_directory(b"src/")),
        seven(fat_directory(b"src/none/")),
        seven(fat(b"handler.js", HANDLER)),
        seven(fat(b"src/text.txt", TEXT)),
        seven(fat(b"\x82.txt", b"1")),
    ])
}

fn expected(accented: &str) -> Files {
    [("handler.js", HANDLER), ("src/text.txt", TEXT), (accented, b"1")]
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), (false, bytes.to_vec())))
        .collect()
}

/// All of them, by name.
pub(crate) fn all() -> [(&'static str, Vec<u8>); 7] {
    [
        ("macOS, names not marked", archive_utility(0)),
        ("macOS", archive_utility(UTF8)),
        ("Explorer", explorer()),
        ("PowerShell", compress_archive()),
        (".NET", dot_net()),
        ("WinRAR", winrar()),
        ("7-Zip on Windows", seven_zip()),
    ]
}

#[test]
fn archives_of_macos_lose_its_litter_and_keep_files_and_links() {
    for flag in [0, UTF8] {
        let archive = archive_utility(flag);
        let vetted = vet(&archive, &ArchiveLimits::default()).unwrap();
        assert_eq!(vetted.warnings, Vec::<String>::new());
        let dropped = ["__MACOSX", "__MACOSX/._handler.js", "src/.DS_Store", "src/._text.txt"];
        assert_eq!(vetted.dropped, dropped);
        assert_eq!(read("macOS", &archive), expected("e\u{301}.txt"));
        let link = vetted.entries.iter().find(|entry| entry.path == "link").unwrap();
        assert!(matches!(&link.kind, Kind::Link { target } if target == "src/text.txt"));
    }
    assert_eq!(diff_id(&archive_utility(0)), diff_id(&archive_utility(UTF8)));
}

#[test]
fn archives_of_windows_have_the_same_files_whatever_wrote_them() {
    let made = all();
    let windows = &made[2..];
    for (name, archive) in windows {
        let vetted =
            vet(archive, &ArchiveLimits::default()).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let files: Files = vetted
            .entries
            .iter()
            .filter_map(|entry| match &entry.kind {
                Kind::File { executable, data } => {
                    Some((entry.path.clone(), (*executable, data.read("", &mut Default::default()).unwrap())))
                }
                _ => None,
            })
            .collect();
        assert_eq!(files, expected("é.txt"), "{name}");
        // Only names in an old code page are read by assumption.
        let assumed = matches!(*name, "Explorer" | "7-Zip on Windows");
        assert_eq!(vetted.warnings.len(), usize::from(assumed), "{name}: {:?}", vetted.warnings);
    }
    // All but Explorer list the empty directory.
    let ids: Vec<_> = windows[1..].iter().map(|(_, archive)| diff_id(archive)).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_ne!(diff_id(&windows[0].1), ids[0]);
}
