//! The rules of `docs/archives.md`, each on archives made byte by byte: what breaks it is refused by the rule's own
//! name, and what honest tools write passes.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Command;
use std::time::Duration;

use builder::layer::{self, LayerError, LayerOptions, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, Inflater, Kind, Refusal, vet};
use proptest::prelude::*;

use crate::archive::{Item, commented, deflate, zip, zip64_end};
use crate::cases::{a, hostile, named, with_second_name};

/// Vets, and decodes what was vetted, as a build does.
fn check(archive: &[u8], limits: &ArchiveLimits) -> Result<(), Refusal> {
    let archive = vet(archive, limits)?;
    match layer::make(Part::Code, &Tree::of(&archive), limits.decode_time, &LayerOptions::default()) {
        Ok(_) => Ok(()),
        Err(LayerError::Refused(refusal)) => Err(refusal),
        Err(LayerError::Scratch(error)) => panic!("{error}"),
    }
}

fn code(archive: &[u8], limits: &ArchiveLimits) -> &'static str {
    check(archive, limits).map_or_else(|refusal| refusal.code(), |()| "accepted")
}

/// All hostile archives of a rule are refused, each by its own name.
fn refused(rule: u8) {
    let cases: Vec<_> = hostile().into_iter().filter(|case| case.rule == rule).collect();
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (case, code(&case.archive, &ArchiveLimits::default())))
        .filter(|(case, found)| *found != case.code)
        .map(|(case, found)| format!("{}: {found}, not {}", case.name, case.code))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The archive passes, with these paths.
fn accepted(name: &str, archive: &[u8], paths: &str) {
    let limits = ArchiveLimits::default();
    let vetted = vet(archive, &limits).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    let found: Vec<&str> = vetted.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(found.join(" "), paths, "{name}");
    check(archive, &limits).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
}

fn tar_of(archive: &[u8]) -> Vec<u8> {
    let vetted = vet(archive, &ArchiveLimits::default()).unwrap();
    let limit = Duration::from_secs(60);
    let made = layer::make(Part::Code, &Tree::of(&vetted), limit, &LayerOptions::default()).unwrap();
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(made.layer.open().unwrap()).read_to_end(&mut tar).unwrap();
    tar
}

#[test]
fn rule_1_there_is_one_view_of_an_archive() {
    refused(1);
    let b = |item: Item| item.with(|i| i.name = b"b".to_vec());
    accepted("descriptors", &zip(&[a().described(true), b(a().described(false))]), "a.js b");
    accepted("zeros beside the data", &zip(&[a().with(|i| i.local = Some((0, 0, 0)))]), "a.js");
    accepted("64-bit sizes", &zip(&[a().zip64(), b(a())]), "a.js b");
    accepted("64-bit end", &zip64_end(&zip(&[a(), b(a())])), "a.js b");
    accepted("comment", &commented(&zip(&[a()]), b"made by hand"), "a.js");
    accepted("an entry's comment", &zip(&[a().with(|i| i.comment = b"PK\x05\x06".to_vec())]), "a.js");
    accepted("nested archive", &zip(&[Item::stored("in.zip", &zip(&[a()]))]), "in.zip");
    accepted("padding of tools that align", &zip(&[a().with(|i| i.local_extra = vec![0; 3])]), "a.js");
    accepted("nothing", &zip(&[]), "");
}

#[test]
fn rule_2_entries_are_disjoint_and_numbers_do_not_overflow() {
    refused(2);
    let shuffled = {
        // The directory in another order than the data.
        let (first, second) = (Item::stored("z", b"1"), Item::stored("a", b"2"));
        let bytes = zip(&[first, second]);
        let end = bytes.len() - 22;
        let (x, y) = (end - 2 * 47, end - 47);
        [&bytes[..x], &bytes[y..end], &bytes[x..y], &bytes[end..]].concat()
    };
    accepted("shuffled directory", &shuffled, "a z");
}

#[test]
fn rule_3_every_limit_is_kept() {
    refused(3);
    let all = ArchiveLimits::default();
    let bomb = zip(&[Item::deflated("zeros", &vec![0; 20 << 20])]);
    let two = zip(&[Item::stored("d/a", b"12345"), Item::stored("d/b", b"12345")]);
    let cases: Vec<(&str, &[u8], &str)> = vec![
        ("archive-bytes=10", &two, "zip.archive_size"),
        ("entries=1", &two, "zip.entries"),
        ("unpacked-bytes=9", &two, "zip.unpacked_size"),
        ("file-bytes=4", &two, "zip.file_size"),
        ("path-bytes=2", &two, "zip.path_length"),
        ("depth=1", &two, "zip.depth"),
        ("names-bytes=5", &two, "zip.names_length"),
        ("ratio=200", &bomb, "zip.ratio"),
        ("file-ratio=100", &bomb, "zip.file_ratio"),
        ("ratio=2000", &bomb, "accepted"),
        ("ratio-from=32M", &bomb, "accepted"),
    ];
    for (limit, archive, expected) in cases {
        let mut limits = all;
        limits.set(limit).unwrap();
        assert_eq!(code(archive, &limits), expected, "{limit}");
        // The name in the sentence is the one to set.
        if let Err(refusal) = check(archive, &limits) {
            let (name, value) = limit.split_once('=').unwrap();
            assert!(refusal.to_string().contains(&format!("limit {name} is {value}")), "{refusal}");
        }
    }
    let none = ArchiveLimits { decode_time: Duration::ZERO, ..all };
    assert_eq!(code(&two, &none), "zip.decode_time");
}

#[test]
fn rule_3_a_lie_about_the_size_is_stopped_while_it_decodes() {
    let archive = zip(&[Item::deflated("zeros", &vec![0; 20 << 20]).with(|i| i.size = 100_000)]);
    let vetted = vet(&archive, &ArchiveLimits::default()).unwrap();
    let Kind::File { data, .. } = vetted.entries[0].kind else { panic!("a file") };
    let mut seen = 0;
    let refusal = data.decode("zeros", &mut Inflater::new(), &mut |piece| {
        seen += piece.len();
        Ok(())
    });
    assert_eq!(refusal.unwrap_err().code(), "zip.size");
    assert!(seen <= 100_000, "{seen} bytes went on");
}

#[test]
fn rule_3_the_deadline_holds_where_nothing_comes_out() {
    // Megabytes of empty blocks, which decode to nothing until the last one.
    let raw = [[0, 0, 0, 0xff, 0xff].repeat(1 << 20), deflate(b"x", 6)].concat();
    let archive = zip(&[Item::stream("a", b"x", raw)]);
    let vetted = vet(&archive, &ArchiveLimits::default()).unwrap();
    let Kind::File { data, .. } = vetted.entries[0].kind else { panic!("a file") };
    let mut calls = 0;
    data.decode("a", &mut Inflater::new(), &mut |_| {
        calls += 1;
        Ok(())
    })
    .unwrap();
    assert!(calls >= 100, "the sink could look at the clock {calls} times in {} blocks", 1 << 20);
}

#[test]
fn rule_4_only_stored_and_deflated_data_is_read() {
    refused(4);
    accepted("how hard the encoder tried", &zip(&[a().with(|i| i.flags = 0b110)]), "a.js");
    accepted("deflate without a stream", &zip(&[Item::stream("a", b"", vec![])]), "a");
    accepted("a stream of nothing", &zip(&[Item::stream("a", b"", deflate(b"", 6))]), "a");
}

#[test]
fn rule_5_names_are_plain_relative_paths() {
    refused(5);
    let of = |change: fn(&mut Item)| zip(&[a().with(change)]);
    accepted("FAT's backslash", &of(|i| (i.name, i.host) = (b"d\\a.js".to_vec(), 0)), "d/a.js");
    accepted("NTFS' backslash", &of(|i| (i.name, i.host) = (b"d\\a.js".to_vec(), 10)), "d/a.js");
    accepted("dots and slashes", &of(|i| i.name = b"./d//./a.js".to_vec()), "d/a.js");
    accepted("three dots", &of(|i| i.name = b".../a.js".to_vec()), ".../a.js");
    accepted("cp437", &of(|i| i.name = b"\x82\xe1.js".to_vec()), "éß.js");
    accepted("UTF-8", &of(|i| (i.name, i.flags) = ("é.js".into(), 1 << 11)), "é.js");
    accepted("second name", &zip(&[with_second_name(b"\x8e", "é.js".as_bytes())]), "é.js");
    // A second name that is about another first name is none.
    accepted(
        "stale second name",
        &zip(&[with_second_name(b"b", b"c").with(|i| i.name = b"a".to_vec())]),
        "a",
    );
    accepted("the archive's root", &zip(&[Item::directory("./"), a()]), "a.js");
}

#[test]
fn rule_5_litter_is_dropped_and_reported() {
    let litter = ["__MACOSX/x", "d/._a", "d/.DS_Store"];
    let mut items: Vec<Item> = litter.iter().map(|name| Item::stored(name, b"x")).collect();
    items.extend([a(), Item::stored("d/__MACOSX.js", b""), Item::stored(".DS_Store.js", b"")]);
    let archive = zip(&items);
    accepted("litter", &archive, ".DS_Store.js a.js d/__MACOSX.js");
    assert_eq!(vet(&archive, &ArchiveLimits::default()).unwrap().dropped, litter);
}

#[test]
fn rule_5_a_name_whose_encoding_is_assumed_is_reported() {
    let of = |name: &[u8]| zip(&[a().with(|i| i.name = name.to_vec())]);
    let (utf8, other) = (of("é.js".as_bytes()), of(b"\x82.js"));
    accepted("what a disk of Linux has", &utf8, "é.js");
    accepted("what DOS has", &other, "é.js");
    let warnings = |archive: &[u8]| vet(archive, &ArchiveLimits::default()).unwrap().warnings;
    assert_eq!(warnings(&utf8), Vec::<String>::new());
    let guessed = warnings(&other);
    assert!(guessed[0].contains("\"é.js\""), "a name whose encoding was assumed is reported: {guessed:?}");
}

#[test]
fn rule_6_names_that_delete_files_in_layers_are_refused() {
    refused(6);
    accepted("another name", &named("a.wh.x"), "a.wh.x");
}

#[test]
fn rule_7_no_path_is_there_twice() {
    refused(7);
    let case = zip(&[Item::stored("A.js", b""), Item::stored("a.js", b"")]);
    accepted("only the case differs", &case, "A.js a.js");
    let warnings = vet(&case, &ArchiveLimits::default()).unwrap().warnings;
    assert_eq!(warnings, ["\"A.js\" and \"a.js\" differ only in upper and lower case"]);
    // Parents are made once, whether the archive lists them or not.
    let tar = tar_of(&zip(&[Item::stored("d/e/a", b""), Item::directory("d/"), Item::stored("d/e/b", b"")]));
    let mut paths = BTreeMap::new();
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        *paths.entry(entry.unwrap().path().unwrap().into_owned()).or_insert(0) += 1;
    }
    assert!(paths.values().all(|count| *count == 1), "{paths:?}");
    assert_eq!(paths.len(), 3 + 2 + 2);
}

#[test]
fn rule_8_only_files_directories_and_links_that_stay_inside() {
    refused(8);
    accepted(
        "links of npm",
        &zip(&[Item::link("node_modules/.bin/x", "../x/y.js"), a()]),
        "a.js node_modules/.bin/x",
    );
    accepted("link to the root", &zip(&[Item::link("d/l", "..")]), "d/l");
    accepted("link to nothing", &zip(&[Item::link("l", "no/such")]), "l");
    accepted(
        "compressed link",
        &zip(&[Item::deflated("l", &[b'x'; 4000]).with(|i| i.mode = 0o120_777)]),
        "l",
    );
    accepted(
        "a mode that FAT does not have",
        &zip(&[a().with(|i| (i.host, i.mode) = (0, 0o060_644))]),
        "a.js",
    );
    accepted(
        "compressed directory",
        &zip(&[Item::stream("d/", b"", vec![3, 0]).with(|i| i.mode = 0o040_755)]),
        "d",
    );
}

#[test]
fn rule_9_of_modes_only_the_owners_x_is_kept() {
    let modes: [(u32, u32); 8] = [
        (0o104_755, 0o755),
        (0o102_755, 0o755),
        (0o101_777, 0o755),
        (0o100_666, 0o644),
        (0o100_000, 0o644),
        (0o100_611, 0o644),
        (0o100_100, 0o755),
        (0, 0o644),
    ];
    let items: Vec<Item> = modes
        .iter()
        .map(|(mode, _)| Item::stored(&format!("{mode:o}"), b"").with(|i| i.mode = *mode))
        .collect();
    let tar = tar_of(&zip(&items));
    let mut found = 0;
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let (names, zero) =
            ((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        assert_eq!((header.mtime().unwrap(), names), (0, zero));
        let name = entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        if let Some((_, kept)) = modes.iter().find(|(mode, _)| format!("{mode:o}") == name) {
            assert_eq!((header.mode().unwrap(), header.uid().unwrap()), (*kept, 1000), "{name}");
            found += 1;
        }
    }
    assert_eq!(found, modes.len());
}

#[test]
fn rule_10_nothing_lies_outside_the_functions_directory_and_the_tar_is_plain() {
    let long = format!("{}/{}", "x".repeat(120), "é".repeat(100));
    let link = Item::link("l", &"y".repeat(3000));
    let tar = tar_of(&zip(&[a(), Item::stored(&long, b"1").with(|i| i.flags = 1 << 11), link]));
    let above = ["home/", "home/app/", "home/app/function/"];
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        assert!(above.contains(&&*path) || path.starts_with("home/app/function/"), "{path}");
    }
    let mut types = Vec::new();
    for entry in tar::Archive::new(&tar[..]).entries().unwrap().raw(true) {
        let entry = entry.unwrap();
        types.push(entry.header().entry_type().as_byte() as char);
        // Numbers are octal digits: a number in base 256 has the highest bit of its field set.
        for field in [100, 108, 116, 124, 136] {
            assert!(entry.header().as_bytes()[field].is_ascii(), "field at {field}");
        }
        assert_eq!(&entry.header().as_bytes()[257..265], b"ustar\x0000");
    }
    types.sort_unstable();
    types.dedup();
    assert_eq!(types, ['0', '2', '5', 'x'], "PAX records, and none of GNU's");
}

#[test]
fn rule_11_a_users_files_are_never_written_to_disk() {
    const CHILD: &str = "ZIPSHIP_TEST_NO_DISK";
    let archive = zip(&[a(), Item::stored("node_modules/big", &vec![7; 3 << 20])]);
    if std::env::var_os(CHILD).is_some() {
        check(&archive, &ArchiveLimits::default()).unwrap();
        return;
    }
    // The same test in a process to which nothing is writable by name: its directory is gone, and so is TMPDIR.
    let gone = tempfile::tempdir().unwrap();
    let mut child = Command::new("sh");
    child.args(["-c", "cd \"$1\" && rmdir \"$1\" && exec \"$2\" --exact \"$3\"", "sh"]);
    child.arg(gone.path()).arg(std::env::current_exe().unwrap());
    child.arg("rules::rule_11_a_users_files_are_never_written_to_disk");
    let output = child.env(CHILD, "1").env("TMPDIR", gone.path()).env("HOME", gone.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

/// What extractors do differently from one another, row by row: here each has one answer.
#[test]
fn every_disagreement_of_extractors_has_one_answer() {
    let rows: [(&str, &[&str]); 18] = [
        ("../x", &["..", "inner ..", ".. at the end"]),
        ("/abs", &["absolute", "two slashes"]),
        ("a link, then through it", &["link, then through it"]),
        ("a link to ../../..", &["link out", "link far out", "link through a link"]),
        ("a name twice", &["twice", "twice, normalised"]),
        ("file a and a/b", &["file and directory"]),
        ("dir\\file", &["backslash", "backslash, then .."]),
        ("devices, pipes, sockets", &["block device", "character device", "pipe", "socket"]),
        (".wh.x, .wh..wh..opq", &["whiteout", "opaque"]),
        ("NUL in a name", &["NUL"]),
        ("no name", &["empty"]),
        ("./x and a//b of the same file", &["twice, normalised", "twice, slashes"]),
        ("two names of one entry", &["local name", "second name"]),
        ("wrong CRC", &["crc", "stored crc"]),
        ("a lie about the size", &["size too small", "size too large", "stored size"]),
        ("entries that overlap", &["same offset", "entry inside an entry"]),
        ("encrypted", &["encrypted", "strongly encrypted", "masked", "AES"]),
        ("two archives in one file", &["two archives", "archive as comment"]),
    ];
    let all = hostile();
    for (row, names) in rows {
        for name in names {
            let case = all.iter().find(|case| case.name == *name).unwrap_or_else(|| panic!("{row}: {name}"));
            assert_eq!(code(&case.archive, &ArchiveLimits::default()), case.code, "{row}: {name}");
        }
    }
    // Two rows are no reason to refuse: set-id bits go, and names of code page 437 are decoded.
    let setuid = tar_of(&zip(&[a().with(|i| i.mode = 0o104_755)]));
    let modes =
        tar::Archive::new(&setuid[..]).entries().unwrap().map(|e| e.unwrap().header().mode().unwrap()).last();
    assert_eq!(modes, Some(0o755));
    accepted("cp437", &zip(&[a().with(|i| i.name = b"\x81.js".to_vec())]), "ü.js");
}

#[test]
fn sentences_name_the_entry_and_say_what_to_do() {
    let limits = ArchiveLimits::default();
    let said = |archive: &[u8]| check(archive, &limits).unwrap_err().to_string();
    assert_eq!(
        said(&[0x1f, 0x8b, 8, 0]),
        "the archive is not a zip: it looks like gzip (a .tar.gz?); make one with: zip -r function.zip ."
    );
    assert_eq!(
        said(&named("../x")),
        "\"../x\": the path has .. in it; store paths below the function's directory"
    );
    // Those about the archive as a whole name no entry.
    let whole = [
        "zip.not_a_zip",
        "zip.damaged",
        "zip.prefix",
        "zip.trailer",
        "zip.several_ends",
        "zip.gap",
        "zip.count",
        "zip.split",
        "zip.empty_name",
        "zip.entries",
    ];
    for case in hostile() {
        let sentence = said(&case.archive);
        assert!(sentence.contains("; ") || sentence.contains(": "), "{}: {sentence}", case.name);
        assert!(whole.contains(&case.code) || sentence.contains('"'), "{}: {sentence}", case.name);
    }
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
