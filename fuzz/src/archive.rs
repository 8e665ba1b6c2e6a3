//! The zip parser, the layer writer behind it, and what both promise about any bytes.

use std::collections::BTreeSet;
use std::time::Duration;

use builder::layer::{self, LayerError, LayerOptions, Part};
use builder::tree::Tree;
use builder::zip::{Archive, ArchiveLimits, Kind, vet};

use crate::streams::inflated;

/// Small, so that inputs reach them.
const LIMITS: ArchiveLimits = ArchiveLimits {
    archive_bytes: 8 << 10,
    entries: 50,
    unpacked_bytes: 256 << 10,
    file_bytes: 128 << 10,
    ratio: 100,
    file_ratio: 500,
    ratio_from: 64 << 10,
    path_bytes: 100,
    depth: 8,
    names_bytes: 1000,
    decode_time: Duration::from_secs(8),
};
const ROOT: &str = "home/app/function";

/// An archive, all the way to a layer.
///
/// # Panics
/// When the same bytes have two answers, or something unsafe or too large is accepted.
pub(crate) fn zip(bytes: &[u8]) {
    let (once, again) = (vet(bytes, &LIMITS), vet(bytes, &LIMITS));
    let (archive, again) = match (once, again) {
        (Err(one), Err(two)) => return assert_eq!(one, two, "two answers"),
        (one, two) => (one.expect("accepted again"), two.expect("accepted before")),
    };
    assert_eq!(format!("{archive:?}"), format!("{again:?}"), "two answers");
    is_safe(&archive);
    is_small(&archive);
    let tree = Tree::of(&archive);
    let make = || layer::make(Part::Code, &tree, LIMITS.decode_time, &LayerOptions::default());
    match (make(), make()) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one.layer.digest(), two.layer.digest(), "two layers");
            is_the_tree(&inflated(one.layer.as_ref()), &tree);
        }
        (Err(LayerError::Refused(one)), Err(LayerError::Refused(two))) => assert_eq!(one, two, "two answers"),
        (one, two) => panic!("two answers: {one:?} and {two:?}"),
    }
}

fn is_safe(archive: &Archive<'_>) {
    let mut paths = BTreeSet::new();
    for entry in &archive.entries {
        let path = &entry.path;
        assert!(!path.is_empty() && !path.contains(|c: char| c.is_control() || c == '\\'), "{path:?}");
        for part in path.split('/') {
            assert!(!matches!(part, "" | "." | "..") && !part.starts_with(".wh."), "{path:?}");
        }
        assert!(path.split('/').count() <= LIMITS.depth, "{path:?}");
        assert!(paths.insert(path.as_str()), "{path:?} twice");
    }
    for entry in &archive.entries {
        let above = entry.path.match_indices('/').map(|(at, _)| &entry.path[..at]);
        let parents = above.filter_map(|above| archive.entries.iter().find(|other| other.path == above));
        assert!(parents.into_iter().all(|parent| matches!(parent.kind, Kind::Directory)), "{:?}", entry.path);
        if let Kind::Link { target } = &entry.kind {
            stays_inside(&entry.path, target);
        }
    }
}

fn stays_inside(path: &str, target: &str) {
    assert!(!target.is_empty() && !target.starts_with('/'), "{target:?}");
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        depth = match part {
            "" | "." => depth,
            ".." => depth.checked_sub(1).unwrap_or_else(|| panic!("{path:?} leaves by {target:?}")),
            _ => depth + 1,
        };
    }
}

fn is_small(archive: &Archive<'_>) {
    let sizes = archive.entries.iter().filter_map(|entry| match &entry.kind {
        Kind::File { data, .. } => Some(data.size),
        _ => None,
    });
    assert!(sizes.clone().all(|size| size <= LIMITS.file_bytes));
    assert!(sizes.sum::<u64>() <= LIMITS.unpacked_bytes);
    assert!(archive.entries.len() + archive.dropped.len() <= LIMITS.entries as usize);
}

/// The tar has exactly the tree's nodes, each once, below the function's directory.
fn is_the_tree(tar: &[u8], tree: &Tree<'_>) {
    let mut found = BTreeSet::new();
    for entry in tar::Archive::new(tar).entries().expect("a tar") {
        let entry = entry.expect("an entry");
        let path = String::from_utf8(entry.path_bytes().into_owned()).expect("text");
        let path = path.trim_end_matches('/').to_owned();
        if let Some(below) = path.strip_prefix(ROOT) {
            let below = below.trim_start_matches('/');
            if let Some(Kind::File { data, .. }) = tree.get(below) {
                assert_eq!(entry.size(), data.size, "{below:?}");
            }
            assert!(found.insert(below.to_owned()), "{below:?} twice");
        } else {
            assert!(matches!(&*path, "home" | "home/app"), "{path:?} outside");
        }
    }
    found.remove("");
    let expected: BTreeSet<String> = tree.iter().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(found, expected);
}
