//! What a layer is made from, as one digest: equal keys mean equal layers, so one hash over the archive's own
//! bytes says that a layer need not be made again.
//!
//! A key covers everything that the layer's bytes depend on: each node's path, kind and mode, the raw bytes in
//! the archive with their method, size and checksum, the options, and the version of this code. So nobody can
//! make a key stand for another layer without two inputs of the same SHA-256.

use std::sync::atomic::{AtomicUsize, Ordering};

use oci::Digest;
use oci::digest::Hasher;

use super::LayerOptions;
use crate::tree::Tree;
use crate::zip::{Kind, Method};

/// Raise this when the same input begins to give other bytes (the golden digests of the tests then change, be
/// it through a library's new version): layers that an older version kept are then not found.
const FORMAT: u32 = 1;
/// Bytes that one thread hashes at a time, about.
const GROUP: usize = 1 << 20;
/// Layers from less than this are made faster than they are looked for, in bytes.
const WORTH: usize = 256 << 10;

/// Whether a layer is worth keeping.
pub(super) fn is_worth(tree: &Tree<'_>) -> bool {
    tree.iter().map(|(_, kind)| raw(kind).len()).sum::<usize>() >= WORTH
}

/// The key of a tree's layer.
pub(super) fn of(tree: &Tree<'_>, options: &LayerOptions<'_>) -> Digest {
    let nodes: Vec<(&str, &Kind<'_>)> = tree.iter().collect();
    let groups = groups(&nodes);
    let mut hasher = Hasher::new();
    let head = format!(
        "zipship layer {FORMAT} {} {} {}\n",
        env!("CARGO_PKG_VERSION"),
        options.compression,
        options.mtime
    );
    hasher.update(head.as_bytes());
    for digest in on_threads(&groups, options.threads()) {
        hasher.update(digest.as_str().as_bytes());
    }
    hasher.finish()
}

/// Nodes in groups whose ends depend on the tree alone.
fn groups<'n, 't, 'a>(nodes: &'n [(&'t str, &'t Kind<'a>)]) -> Vec<&'n [(&'t str, &'t Kind<'a>)]> {
    let (mut groups, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (i, (path, kind)) in nodes.iter().enumerate() {
        bytes += path.len() + raw(kind).len();
        if bytes >= GROUP {
            groups.push(&nodes[start..=i]);
            (start, bytes) = (i + 1, 0);
        }
    }
    groups.push(&nodes[start..]);
    groups
}

fn on_threads(groups: &[&[(&str, &Kind<'_>)]], threads: usize) -> Vec<Digest> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(i) else { return done };
            done.push((i, digest(group)));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(groups.len())).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        // A thread only panics where this one would, too: then it does so again here.
        all.extend(
            others
                .into_iter()
                .flat_map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
        );
        all
    });
    all.sort_unstable_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, digest)| digest).collect()
}

fn digest(group: &[(&str, &Kind<'_>)]) -> Digest {
    let mut hasher = Hasher::new();
    // Lengths stand before what has one, so no two groups look the same.
    let text = |hasher: &mut Hasher, bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for (path, kind) in group {
        text(&mut hasher, path.as_bytes());
        match kind {
            Kind::Directory => hasher.update(b"d"),
            Kind::Link { target } => {
                hasher.update(b"l");
                text(&mut hasher, target.as_bytes());
            }
            Kind::File { executable, data } => {
                let stored = data.method == Method::Stored;
                hasher.update(&[b'f', u8::from(*executable), u8::from(stored)]);
                hasher.update(&data.size.to_le_bytes());
                hasher.update(&data.crc.to_le_bytes());
                text(&mut hasher, data.raw);
            }
        }
    }
    hasher.finish()
}

fn raw<'a>(kind: &Kind<'a>) -> &'a [u8] {
    match kind {
        Kind::File { data, .. } => data.raw,
        Kind::Directory | Kind::Link { .. } => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::layer::Compression;
    use crate::zip::Data;

    #[test]
    fn everything_that_changes_the_layer_changes_the_key() {
        let bytes = vec![1; 3 << 20];
        let file = |executable, data| Kind::File { executable, data };
        let data = Data::plain(&bytes);
        let other = Data::plain(&bytes[1..]);
        let key = |nodes: Vec<(&str, Kind<'_>)>, options: &LayerOptions<'_>| {
            let mut tree = Tree::default();
            nodes.into_iter().for_each(|(path, kind)| tree.insert(path, kind));
            of(&tree, options)
        };
        let plain = LayerOptions::default();
        let one = key(vec![("a", file(false, data)), ("b", file(false, data))], &plain);
        for threads in 1..5 {
            let options = LayerOptions { threads: NonZero::new(threads), ..plain };
            assert_eq!(key(vec![("a", file(false, data)), ("b", file(false, data))], &options), one);
        }
        let link = |target: &str| Kind::Link { target: target.into() };
        let others = [
            key(vec![("a", file(false, data)), ("c", file(false, data))], &plain),
            key(vec![("a", file(true, data)), ("b", file(false, data))], &plain),
            key(vec![("a", file(false, other)), ("b", file(false, data))], &plain),
            key(vec![("a", file(false, Data { crc: 1, ..data })), ("b", file(false, data))], &plain),
            key(
                vec![("a", file(false, Data { method: Method::Deflate, ..data })), ("b", file(false, data))],
                &plain,
            ),
            key(vec![("a", file(false, data)), ("b", link("a"))], &plain),
            key(vec![("a", file(false, data)), ("b", link("c"))], &plain),
            key(vec![("a", file(false, data)), ("b", Kind::Directory)], &plain),
            key(
                vec![("a", file(false, data)), ("b", file(false, data))],
                &LayerOptions { compression: Compression::Gzip(6), ..plain },
            ),
            key(
                vec![("a", file(false, data)), ("b", file(false, data))],
                &LayerOptions { mtime: 1, ..plain },
            ),
        ];
        let mut all: Vec<_> = others.into_iter().chain([one]).collect();
        all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        all.dedup();
        assert_eq!(all.len(), 11);
    }
}
