//! Every way to compress a layer: fixed bytes for fixed files, the same tar in all of them, and other programs
//! read it.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::time::Duration;

use builder::layer::{self, Compression, LayerOptions, Made, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, vet};
use oci::Digest;

use crate::archive::{Item, zip};

const HOWS: [&str; 4] = ["reuse", "gzip:6", "zstd:3", "none"];
/// `exports.handle = () => 'hello'\n`, forty times, as zlib's level 6 has it.
const STREAM: [u8; 44] = *b"\x4b\xad\x28\xc8\x2f\x2a\x29\xd6\xcb\x48\xcc\x4b\xc9\x49\x55\xb0\x55\xd0\xd0\x54\
    \xb0\xb5\x53\x50\xcf\x48\xcd\xc9\xc9\x57\xe7\x4a\x1d\x95\x1e\x95\x1e\x95\x1e\x95\x1e\x6a\xd2\x00";

fn make(archive: &[u8], how: &str, options: LayerOptions<'_>) -> Made {
    let vetted = vet(archive, &ArchiveLimits::default()).unwrap();
    let options = LayerOptions { compression: how.parse().unwrap(), ..options };
    layer::make(Part::Code, &Tree::of(&vetted), Duration::from_secs(60), &options).unwrap()
}

fn bytes(made: &Made) -> Vec<u8> {
    let mut bytes = Vec::new();
    made.layer.open().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!((bytes.len() as u64, &Digest::of(&bytes)), (made.layer.size(), made.layer.digest()));
    bytes
}

/// Streams that are taken over, stored data that is compressed and data that is not, a file that is cut.
fn fixed() -> Vec<u8> {
    let text = b"exports.handle = () => 'hello'\n".repeat(40);
    let words = b"the quick brown fox ".repeat(2000);
    let mut noise = Vec::new();
    let mut state = 1u32;
    while noise.len() < (2 << 20) + 70_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push((state >> 24) as u8);
    }
    zip(&[
        Item::stream("handler.js", &text, STREAM.to_vec()),
        Item::stored("words.txt", &words),
        Item::stored("noise.bin", &noise).with(|item| item.mode = 0o100_755),
        Item::stored("empty", b""),
        Item::link("link", "handler.js"),
    ])
}

const GOLDEN_DIFF_ID: &str = "sha256:c419198394133e5db3ae707247f08eedf481ab29e7cc7bbed2f6ddd700883a97";
const GOLDEN: [&str; 4] = [
    "sha256:dfbbc4d9984a0ef93b46b7cf6635a693e5607ba4ba755069c470b32479efc60d",
    "sha256:9d2b4ba6b00420ced513d86e36e3cc8d7729e235f5ff90b7614039b9c24153a6",
    "sha256:5ca0f2a2be8e8cf4a261e7b3230b6a6122cb20c093b718ca8e30fe91c329a468",
    "sha256:c419198394133e5db3ae707247f08eedf481ab29e7cc7bbed2f6ddd700883a97",
];

/// Whoever changes one of these also raises `FORMAT` in `builder/src/layer/key.rs`: caches hold the old bytes.
#[test]
fn fixed_files_give_fixed_layers() {
    let archive = fixed();
    let made = HOWS.map(|how| make(&archive, how, LayerOptions::default()));
    let digests = made.each_ref().map(|made| made.layer.digest().as_str());
    let diff_ids = made.each_ref().map(|made| made.layer.diff_id().as_str());
    assert_eq!((digests, diff_ids), (GOLDEN, [GOLDEN_DIFF_ID; 4]));
    let types = made.each_ref().map(|made| made.layer.media_type().rsplit('.').next().unwrap());
    assert_eq!(types, ["tar+gzip", "tar+gzip", "tar+zstd", "tar"]);
    // What was compressed: of `reuse` the stored words only.
    assert_eq!(made[0].compressed_bytes, 40_000);
    assert!(made[1].compressed_bytes > 2 << 20);
    assert_eq!(made[3].compressed_bytes, 0);
}

#[test]
fn all_of_them_decode_to_the_same_tar() {
    let archive = fixed();
    let plain = bytes(&make(&archive, "none", LayerOptions::default()));
    for how in ["reuse", "gzip:1", "gzip:6", "gzip:9"] {
        let layer = bytes(&make(&archive, how, LayerOptions::default()));
        let mut tar = Vec::new();
        // This decoder stops after the first member.
        flate2::read::GzDecoder::new(&layer[..]).read_to_end(&mut tar).unwrap();
        assert!(tar == plain, "{how}");
    }
    for how in ["zstd:1", "zstd:3", "zstd:12"] {
        let layer = bytes(&make(&archive, how, LayerOptions::default()));
        // One frame: some readers stop after the first.
        let mut decoder = zstd::stream::read::Decoder::new(&layer[..]).unwrap().single_frame();
        let mut tar = Vec::new();
        decoder.read_to_end(&mut tar).unwrap();
        assert!(tar == plain, "{how}");
    }
}

#[test]
fn neither_threads_nor_the_zips_order_change_a_byte() {
    let files: Vec<(String, Vec<u8>)> = (0..40u32)
        .map(|i| (format!("d{}/f{i}", i % 7), format!("line {i} of many\n").repeat(9000).into_bytes()))
        .collect();
    let items: Vec<Item> = files.iter().map(|(name, bytes)| Item::deflated(name, bytes)).collect();
    let shuffled: Vec<Item> = (0..40).map(|i| items[i * 17 % 40].clone()).collect();
    for how in HOWS {
        let one = NonZero::new(1);
        let first = make(&zip(&items), how, LayerOptions { threads: one, ..LayerOptions::default() });
        for threads in [2, 5] {
            let options = LayerOptions { threads: NonZero::new(threads), ..LayerOptions::default() };
            let other = make(&zip(&shuffled), how, options);
            assert_eq!(first.layer.digest(), other.layer.digest(), "{how}, {threads} threads");
        }
    }
}

#[test]
fn of_gzip_at_a_level_the_tool_that_made_the_zip_leaves_no_trace() {
    let text = b"exports.handle = () => 'hello'\n".repeat(40);
    let archives = [
        zip(&[Item::stored("handler.js", &text)]),
        zip(&[Item::deflated("handler.js", &text)]),
        zip(&[Item::stream("handler.js", &text, crate::archive::deflate(&text, 1))]),
    ];
    let made = archives.each_ref().map(|archive| make(archive, "gzip:6", LayerOptions::default()));
    assert!(made.iter().all(|one| one.layer.digest() == made[0].layer.digest()));
}

#[test]
fn the_time_of_everything_is_the_one_asked_for() {
    let options = LayerOptions { mtime: 1_700_000_000, ..LayerOptions::default() };
    let tar = bytes(&make(&fixed(), "none", options));
    let mut count = 0;
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        assert_eq!(entry.unwrap().header().mtime().unwrap(), 1_700_000_000);
        count += 1;
    }
    assert_eq!(count, 8);
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(out.status.success(), "{command:?}");
    out.stdout
}

const GO_READER: &str = r#"package main

import ("compress/gzip"; "io"; "os")

func main() {
	r, err := gzip.NewReader(os.Stdin)
	if err != nil { panic(err) }
	r.Multistream(false)
	if _, err := io.Copy(os.Stdout, r); err != nil { panic(err) }
	if err := r.Close(); err != nil { panic(err) }
}
"#;

#[test]
fn other_programs_read_every_one() {
    let archive = fixed();
    let tar = bytes(&make(&archive, "none", LayerOptions::default()));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("main.go"), GO_READER).unwrap();
    let go = directory.path().join("reader");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&go, &directory.path().join("main.go")])
        .env("GOCACHE", std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"))
        .status()
        .expect("these tests need go");
    assert!(built.success());
    let python = "import sys, tarfile\n\
        sys.stdout.write(''.join(m.name + '\\n' for m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|gz')))";
    for how in ["reuse", "gzip:6"] {
        let layer = bytes(&make(&archive, how, LayerOptions::default()));
        run(Command::new("gzip").arg("-t"), &layer);
        for reader in
            [Command::new("gzip").arg("-dc"), Command::new("unpigz").arg("-c"), &mut Command::new(&go)]
        {
            assert!(run(reader, &layer) == tar, "{how}: {reader:?}");
        }
        let names = String::from_utf8(run(Command::new("python3").args(["-c", python]), &layer)).unwrap();
        assert!(names.ends_with("home/app/function/words.txt\n"), "{how}: {names}");
        let unpacked = tempfile::tempdir().unwrap();
        let options = ["-xz", "--no-same-owner", "-C"];
        run(Command::new("tar").args(options).arg(unpacked.path()), &layer);
        let words = std::fs::read(unpacked.path().join("home/app/function/words.txt")).unwrap();
        assert!(words == b"the quick brown fox ".repeat(2000), "{how}");
    }
    let layer = bytes(&make(&archive, "zstd:3", LayerOptions::default()));
    assert!(run(Command::new("zstd").arg("-dc"), &layer) == tar);
    assert_eq!("zstd".parse::<Compression>().unwrap(), Compression::Zstd(3));
}
