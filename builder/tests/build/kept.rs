//! Layers that were made before: found by what they are made from, and never believed when damaged.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use builder::layer::{self, Compression, LayerCache, LayerOptions, Made, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, vet};

use crate::archive::{Item, zip};

/// Bytes that no encoder shrinks.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// An archive whose layer is worth keeping.
fn archive(seed: u32, length: usize) -> Vec<u8> {
    zip(&[Item::stored("a.bin", &noise(seed, length)), Item::deflated("b.js", b"hello hello hello")])
}

fn make(archive: &[u8], options: LayerOptions<'_>) -> Made {
    let vetted = vet(archive, &ArchiveLimits::default()).unwrap();
    layer::make(Part::Code, &Tree::of(&vetted), Duration::from_secs(60), &options).unwrap()
}

fn with(cache: &LayerCache) -> LayerOptions<'_> {
    LayerOptions { cache: Some(cache), ..LayerOptions::default() }
}

fn bytes(made: &Made) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut made.layer.open().unwrap(), &mut bytes).unwrap();
    bytes
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn an_unchanged_layer_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = LayerCache::open(&folder.path().join("layers"), 1 << 30).unwrap();
    // One that lies in memory while it is made, and one that lies in a file.
    for length in [400_000, 5 << 20] {
        let archive = archive(1, length);
        let first = make(&archive, with(&cache));
        let again = make(&archive, with(&cache));
        assert_eq!((first.kept, again.kept), (false, true));
        assert_eq!(first.layer.digest(), again.layer.digest());
        assert_eq!(first.layer.diff_id(), again.layer.diff_id());
        assert_eq!(first.layer.media_type(), again.layer.media_type());
        assert_eq!((first.tar_bytes, first.compressed_bytes), (again.tar_bytes, again.compressed_bytes));
        assert!(bytes(&first) == bytes(&again));
        assert_eq!(oci::Digest::of(&bytes(&again)), *again.layer.digest());
    }
    assert_eq!(files(&folder.path().join("layers")).len(), 2, "nothing unfinished is left");
    // Another way to make it is another layer.
    let archive = archive(1, 400_000);
    let options = LayerOptions { compression: Compression::Gzip(1), ..with(&cache) };
    assert!(!make(&archive, options).kept);
    assert!(!make(&archive, LayerOptions { mtime: 1, ..with(&cache) }).kept);
    // What is made in a moment is not kept at all.
    let small = zip(&[Item::stored("a.js", b"1")]);
    make(&small, with(&cache));
    assert!(!make(&small, with(&cache)).kept);
}

#[test]
fn a_damaged_layer_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = LayerCache::open(folder.path(), 1 << 30).unwrap();
    let archive = archive(2, 300_000);
    let right = make(&archive, with(&cache));
    let path = files(folder.path()).remove(0);
    let sound = fs::read(&path).unwrap();
    let length = sound.len();
    let flip = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut damages: Vec<Vec<u8>> = vec![Vec::new(), sound[..length / 2].to_vec(), sound[1..].to_vec()];
    damages.push([&sound[..], b"x"].concat());
    // As the end of a text that was cut off: letters of three bytes where digits belong.
    damages.push("€".repeat(24).into_bytes());
    damages.push([&sound[..], &sound[..]].concat());
    // Bytes of the layer, and of the footer behind it.
    damages.extend([0, 1000, right.layer.size() as usize - 1].map(flip));
    damages.extend((right.layer.size() as usize..length).step_by(9).map(flip));
    damages.push(flip(length - 1));
    for (i, damage) in damages.into_iter().enumerate() {
        fs::write(&path, damage).unwrap();
        let made = make(&archive, with(&cache));
        assert!(bytes(&made) == bytes(&right), "damage {i}");
        assert_eq!(made.layer.diff_id(), right.layer.diff_id(), "damage {i}");
        assert!(fs::read(&path).unwrap() == sound, "damage {i} is repaired");
    }
    // A sound layer under another layer's name.
    let other = archive_of_another(&cache, &path);
    assert!(!other.kept && other.layer.digest() != right.layer.digest());
}

fn archive_of_another(cache: &LayerCache, sound: &Path) -> Made {
    let other = archive(3, 300_000);
    make(&other, with(cache));
    let folder = sound.parent().unwrap();
    let theirs = files(folder).into_iter().find(|path| path != sound).unwrap();
    fs::copy(sound, &theirs).unwrap();
    make(&other, with(cache))
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let cache = LayerCache::open(folder.path(), 1_000_000).unwrap();
    let archives = [4, 5, 6, 7].map(|seed| archive(seed, 300_000));
    let age = |path: &Path, seconds: u64| {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    };
    let mut seen = Vec::new();
    for (i, archive) in archives[..3].iter().enumerate() {
        make(archive, with(&cache));
        let new = files(folder.path()).into_iter().find(|path| !seen.contains(path)).unwrap();
        age(&new, 1000 - 100 * i as u64);
        seen.push(new);
    }
    // The oldest is used, so the second is the one to go.
    assert!(make(&archives[0], with(&cache)).kept);
    let left_behind = folder.path().join("unfinished-x");
    fs::write(&left_behind, b"1").unwrap();
    age(&left_behind, 2 * 24 * 60 * 60);
    // Somebody's own, in a folder that was named by mistake.
    let own = folder.path().join("thesis.odt");
    fs::write(&own, vec![1; 2_000_000]).unwrap();
    age(&own, 9_000_000);
    make(&archives[3], with(&cache));
    assert!(own.exists());
    fs::remove_file(own).unwrap();
    assert_eq!(seen.iter().map(|path| path.exists()).collect::<Vec<_>>(), [true, false, true]);
    assert!(!left_behind.exists());
    // One that is too large for the cache is made, and not kept.
    let large = archive(8, 2_000_000);
    assert!(!make(&large, with(&cache)).kept);
    assert!(!make(&large, with(&cache)).kept);
    assert_eq!(files(folder.path()).len(), 3);
}

#[test]
fn builds_at_once_share_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let archives = [9, 10].map(|seed| archive(seed, 3 << 20));
    let right =
        archives.each_ref().map(|archive| make(archive, LayerOptions::default()).layer.digest().clone());
    std::thread::scope(|scope| {
        for i in 0..6 {
            let (archives, right, folder) = (&archives, &right, folder.path());
            scope.spawn(move || {
                // There is room for one: they also take each other's layers away.
                let cache = LayerCache::open(folder, 4 << 20).unwrap();
                for turn in 0..4 {
                    let which = (i + turn) % 2;
                    let made = make(&archives[which], with(&cache));
                    assert_eq!(oci::Digest::of(&bytes(&made)), right[which]);
                }
            });
        }
    });
    let left = files(folder.path());
    assert!(left.len() <= 2 && left.iter().all(|path| !path.display().to_string().contains("unfinished")));
}

#[test]
fn limits_hold_for_what_is_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let cache = LayerCache::open(folder.path(), 1 << 30).unwrap();
    let archive = archive(11, 300_000);
    make(&archive, with(&cache));
    let limits = ArchiveLimits { file_bytes: 1000, ..ArchiveLimits::default() };
    assert_eq!(vet(&archive, &limits).unwrap_err().code(), "zip.file_size");
}

#[test]
fn a_folder_in_which_others_may_write_is_no_cache() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(LayerCache::open(folder.path(), 1 << 30).is_err());
    // One that turns out not to be writable costs nothing but the layer.
    let inside = folder.path().join("inside");
    let cache = LayerCache::open(&inside, 1 << 30).unwrap();
    fs::remove_dir(&inside).unwrap();
    assert!(!make(&archive(12, 5 << 20), with(&cache)).kept);
}
