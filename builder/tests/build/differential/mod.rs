//! Beside other readers: where Python's `zipfile`, Rust's `zip` and we all accept an archive, it has the same names,
//! bytes and kinds. We accept less than they do. Where a difference is meant, it is in `MEANT` with its reason.

mod peers;

use std::collections::BTreeMap;

use builder::zip::{ArchiveLimits, Inflater, Kind, vet};
use proptest::prelude::*;

use crate::archive::{Item, commented, deflate, zip, zip64_end};
use crate::{cases, producers};
use peers::{Python, rust};

/// What is at a path: `d`irectory, `f`ile or `l`ink, and the digest of its bytes.
type View = BTreeMap<String, (char, String)>;

/// An entry as another reader has it, before names are made comparable.
struct Seen {
    name: String,
    host: u8,
    mode: u32,
    digest: String,
}

/// Differences that are meant: the peer, and why it does not see what we see. Names are told apart by
/// [`is_meant`], types by the host of the entry.
const MEANT: [(&str, &str); 3] = [
    ("python", "does not know the second name in UTF-8 (0x7075)"),
    ("python", "reads names that say nothing in code page 437, also when they are valid UTF-8"),
    ("rust", "believes types of Unix of every host; we of Unix and macOS only"),
];

/// Ours: everything decoded, or nothing.
fn ours(archive: &[u8]) -> Option<View> {
    let limits = ArchiveLimits { unpacked_bytes: 64 << 20, ..ArchiveLimits::default() };
    let vetted = vet(archive, &limits).ok()?;
    let mut inflater = Inflater::new();
    let mut view = View::new();
    for entry in vetted.entries {
        let seen = match entry.kind {
            Kind::Directory => ('d', digest(b"")),
            Kind::Link { target } => ('l', digest(target.as_bytes())),
            Kind::File { data, .. } => ('f', digest(&data.read("", &mut inflater).ok()?)),
        };
        view.insert(entry.path, seen);
    }
    Some(view)
}

fn digest(bytes: &[u8]) -> String {
    oci::Digest::of(bytes).hex().to_owned()
}

/// Theirs, with what we do to names and kinds done to theirs: separators of FAT, `.` and empty components, litter,
/// types of Unix only.
fn comparable(seen: Vec<Seen>) -> View {
    let mut view = View::new();
    for Seen { name, host, mode, digest } in seen {
        let name = if matches!(host, 0 | 10 | 14) { name.replace('\\', "/") } else { name };
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let Some(last) = parts.last() else { continue };
        if parts[0] == "__MACOSX" || last.starts_with("._") || *last == ".DS_Store" {
            continue;
        }
        let is_link = matches!(host, 3 | 19) && mode & 0o170_000 == 0o120_000;
        let is_directory = name.ends_with('/') || name.ends_with("/.");
        let kind = if is_link {
            'l'
        } else if is_directory {
            'd'
        } else {
            'f'
        };
        view.insert(parts.join("/"), (kind, digest));
    }
    view
}

/// Whether Python reads a name of the archive otherwise, and is meant to.
fn is_meant(archive: &[u8]) -> bool {
    let records = archive.windows(46).enumerate().filter(|(_, window)| window.starts_with(b"PK\x01\x02"));
    records.map(|(at, record)| (at + 46, record[9] & 8 == 0, usize::from(record[28]))).any(
        |(at, unmarked, length)| {
            let (name, rest) = archive[at..].split_at(length.min(archive.len() - at));
            let second = rest.windows(2).any(|id| id == 0x7075u16.to_le_bytes());
            unmarked && !name.is_ascii() && (str::from_utf8(name).is_ok() || second)
        },
    )
}

/// How often who accepted.
#[derive(Debug, Default)]
struct Tally {
    all: u32,
    ours: u32,
    python: u32,
    rust: u32,
}

/// Compares the three; the difference, if there is one.
fn compare(python: &mut Python, archive: &[u8], tally: &mut Tally) -> Result<(), String> {
    let (our, pythons, rusts) = (ours(archive), python.view(archive), rust(archive));
    tally.ours += u32::from(our.is_some());
    tally.python += u32::from(pythons.is_some());
    tally.rust += u32::from(rusts.is_some());
    let Some(our) = our else { return Ok(()) };
    tally.all += u32::from(pythons.is_some() && rusts.is_some());
    let peers = [("python", pythons), ("rust", rusts)];
    for (name, theirs) in peers.into_iter().filter_map(|(name, seen)| Some((name, comparable(seen?)))) {
        if theirs != our && !(name == "python" && is_meant(archive)) {
            return Err(format!("{name} sees {theirs:?}, we see {our:?}"));
        }
    }
    Ok(())
}

#[test]
fn known_archives_have_one_view() {
    let mut python = Python::start();
    let mut tally = Tally::default();
    let known = producers::small().into_iter().chain(producers::fixtures::all());
    let mut failures = Vec::new();
    for (name, archive) in known {
        assert!(ours(&archive).is_some(), "{name}");
        failures
            .extend(compare(&mut python, &archive, &mut tally).err().map(|error| format!("{name}: {error}")));
    }
    assert!(tally.all >= 14, "{tally:?}");
    for case in cases::hostile() {
        failures.extend(
            compare(&mut python, &case.archive, &mut tally)
                .err()
                .map(|error| format!("{}: {error}", case.name)),
        );
    }
    assert!(failures.is_empty(), "{failures:#?}");
    // Of the hostile ones the others accept many, and we none.
    assert!(tally.ours == 15 && tally.python > 30 && tally.rust > 30, "{tally:?}; meant: {MEANT:?}");
}

fn name() -> impl Strategy<Value = (Vec<u8>, u16)> {
    prop_oneof![
        4 => "[a-c]{1,3}(/[a-c.]{1,3}){0,2}/?".prop_map(|name| (name.into_bytes(), 0)),
        2 => "[aé中]{1,3}(/[bß]{1,2})?".prop_map(|name| (name.into_bytes(), 1 << 11)),
        1 => prop::collection::vec(128u8..=255, 1..4).prop_map(|name| (name, 0)),
        1 => "(\\./|x//)?[a-c\\\\]{1,4}".prop_map(|name| (name.into_bytes(), 0)),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let bytes =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(98u8..100, 0..2000)];
    let mode = prop::sample::select(vec![0o100_644, 0o100_755, 0o104_711, 0, 0o040_755, 0o120_777]);
    let host = prop::sample::select(vec![3u8, 3, 3, 0, 10, 19]);
    (name(), bytes, 0u32..=10, mode, host, 0u8..6, any::<bool>()).prop_map(
        |((name, flags), bytes, level, mode, host, form, signature)| {
            let bytes = if name.ends_with(b"/") { Vec::new() } else { bytes };
            let item = if level == 10 {
                Item::stored("", &bytes)
            } else {
                Item::stream("", &bytes, deflate(&bytes, level))
            };
            let mode = if name.ends_with(b"/") { 0o040_755 } else { mode };
            let item = item.with(|i| (i.name, i.flags, i.mode, i.host) = (name, flags, mode, host));
            match form {
                0 => item.described(signature),
                1 => item.zip64(),
                2 => item.with(|i| i.comment = b"a comment".to_vec()),
                3 => item.with(|i| i.local = Some((0, 0, 0))),
                _ => item,
            }
        },
    )
}

#[test]
fn generated_archives_have_one_view() {
    let mut runner = runner(600);
    let (mut python, mut tally) = (Python::start(), Tally::default());
    let archives = (prop::collection::vec(item(), 0..5), any::<bool>(), prop::option::of("[ -~]{0,20}"));
    check(&mut runner, &archives, |(items, wide, comment)| {
        let archive = zip(&items);
        let archive = if wide { zip64_end(&archive) } else { archive };
        let archive = comment.map_or(archive.clone(), |comment| commented(&archive, comment.as_bytes()));
        compare(&mut python, &archive, &mut tally)
    });
    assert!(tally.all >= 150, "too few that all accept: {tally:?}");
}

/// One change of an archive's bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Add(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Copy(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    // Counted from the end: the directory is what most readers believe.
    let at = || prop_oneof![0usize..400, any::<usize>()];
    let byte = || prop_oneof![Just(0u8), Just(1), Just(8), Just(0xff), any::<u8>()];
    prop_oneof![
        4 => (at(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (at(), prop::sample::select(vec![1u8, 255, 2, 128])).prop_map(|(at, by)| Change::Add(at, by)),
        1 => (at(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => at().prop_map(Change::Remove),
        1 => (at(), at(), 1usize..60).prop_map(|(from, to, length)| Change::Copy(from, to, length)),
    ]
}

fn apply(archive: &mut Vec<u8>, change: &Change) {
    let index = |from_end: usize| archive.len() - 1 - from_end % archive.len();
    match *change {
        Change::Set(at, byte) => {
            let at = index(at);
            archive[at] = byte;
        }
        Change::Add(at, by) => {
            let at = index(at);
            archive[at] = archive[at].wrapping_add(by);
        }
        Change::Insert(at, byte) => archive.insert(index(at), byte),
        Change::Remove(at) => drop(archive.remove(index(at))),
        Change::Copy(from, to, length) => {
            let (from, to) = (index(from), index(to));
            let bytes = archive[from..archive.len().min(from + length)].to_vec();
            let end = archive.len().min(to + bytes.len());
            archive[to..end].copy_from_slice(&bytes[..end - to]);
        }
    }
}

#[test]
fn mutated_archives_of_real_tools_have_one_view() {
    let mut runner = runner(4000);
    let (mut python, mut tally) = (Python::start(), Tally::default());
    let real: Vec<Vec<u8>> = producers::small()
        .into_iter()
        .chain(producers::fixtures::all())
        .map(|(_, archive)| archive)
        .collect();
    let changes = (any::<prop::sample::Index>(), prop::collection::vec(change(), 1..4));
    check(&mut runner, &changes, |(which, changes)| {
        let mut archive = real[which.index(real.len())].clone();
        changes.iter().for_each(|change| apply(&mut archive, change));
        compare(&mut python, &archive, &mut tally)
    });
    assert!(tally.all >= 150 && tally.python > tally.ours, "too few that all accept: {tally:?}");
}

fn runner(cases: u32) -> proptest::test_runner::TestRunner {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest::test_runner::TestRunner::new(config)
}

/// Runs the cases; a difference is shrunk and told.
fn check<S: Strategy>(
    runner: &mut proptest::test_runner::TestRunner,
    strategy: &S,
    mut compare: impl FnMut(S::Value) -> Result<(), String>,
) {
    let compare = std::cell::RefCell::new(&mut compare);
    let result = runner.run(strategy, |value| compare.borrow_mut()(value).map_err(TestCaseError::fail));
    result.unwrap_or_else(|error| panic!("{error}"));
}
