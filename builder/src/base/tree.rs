//! The files of an image in memory, by path.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{BaseError, Recipe, pattern};

/// Directories at the root that are links into `usr`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Longest chain of symbolic links that is followed, as the kernel has it.
const MAX_LINKS: usize = 40;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A regular file.
    File {
        /// Its content.
        bytes: Bytes,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it points, as written.
        target: String,
    },
    /// A directory that must exist or has a mode of its own; others follow from the files.
    Directory {
        /// Permission bits.
        mode: u32,
        /// User and group.
        owner: u32,
    },
}

/// Files by path without a leading slash, sorted. `bin`, `sbin`, `lib` and `lib64` are folded into `usr`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree(BTreeMap<String, Node>);

/// Why a path is not taken into a tree.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the path {0:?} leaves the image")]
    Escapes(String),
    #[error("{0} is there already with other content")]
    Conflict(String),
    #[error("{0} lies below something that is no directory")]
    BelowFile(String),
}

impl Tree {
    /// Adds something at a path as archives write it (`./usr/bin/x`).
    pub(crate) fn insert(&mut self, path: &str, node: Node) -> Result<(), Refusal> {
        let path = normalised(path)?;
        if is_merge(&path, &node) {
            return Ok(());
        }
        let path = merged(&path);
        let mut above = path.as_str();
        while let Some((parent, _)) = above.rsplit_once('/') {
            if matches!(self.0.get(parent), Some(Node::File { .. } | Node::Link { .. })) {
                return Err(Refusal::BelowFile(path));
            }
            above = parent;
        }
        match self.0.get(&path) {
            Some(there) if *there != node => Err(Refusal::Conflict(path)),
            _ => {
                self.0.insert(path, node);
                Ok(())
            }
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    pub(crate) fn file_mut(&mut self, path: &str) -> Option<&mut Bytes> {
        match self.0.get_mut(path) {
            Some(Node::File { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Adds the links of the usr merge, for the directories that have something in them.
    pub(crate) fn link_merged(&mut self) {
        for name in MERGED {
            let inner = format!("usr/{name}/");
            let used = self.0.range(inner.clone()..).next().is_some_and(|(path, _)| path.starts_with(&inner));
            if used {
                self.0.insert(name.to_owned(), Node::Link { target: format!("usr/{name}") });
            }
        }
    }

    /// The part that the recipe's `drop` and `keep` leave.
    pub(crate) fn select(self, recipe: &Recipe) -> Self {
        let covered = |patterns: &[String], path: &str| patterns.iter().any(|p| pattern::covers(p, path));
        let stays = |path: &str| !covered(&recipe.drop, path) || covered(&recipe.keep, path);
        Self(self.0.into_iter().filter(|(path, _)| stays(path)).collect())
    }

    /// Refuses symbolic links that lead nowhere: a recipe dropped too much or a package is missing.
    pub(crate) fn check_links(&self) -> Result<(), BaseError> {
        let directories: BTreeSet<&str> = self.0.keys().flat_map(|path| ancestors(path)).collect();
        for (path, node) in &self.0 {
            let Node::Link { target } = node else { continue };
            if !self.resolves(path, target, &directories) {
                return Err(BaseError::DanglingLink { link: path.clone(), target: target.clone() });
            }
        }
        Ok(())
    }

    fn resolves(&self, link: &str, target: &str, directories: &BTreeSet<&str>) -> bool {
        let (mut at, mut target) = (link.to_owned(), target.to_owned());
        for _ in 0..MAX_LINKS {
            let Some(next) = joined(&at, &target) else { return false };
            at = merged(&next);
            match self.0.get(&at) {
                Some(Node::Link { target: next }) => target.clone_from(next),
                Some(_) => return true,
                None => return directories.contains(at.as_str()),
            }
        }
        false
    }
}

/// The directories above a path, nearest first.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/').map(|(parent, _)| parent), |p| {
        p.rsplit_once('/').map(|(parent, _)| parent)
    })
}

fn normalised(path: &str) -> Result<String, Refusal> {
    let inner = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let bad = |segment: &str| matches!(segment, "" | "." | "..") || segment.contains('\0');
    if inner.split('/').any(bad) {
        return Err(Refusal::Escapes(path.to_owned()));
    }
    Ok(inner.to_owned())
}

/// The path after the usr merge.
fn merged(path: &str) -> String {
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) { format!("usr/{path}") } else { path.to_owned() }
}

/// A link of the usr merge itself, as newer packages bring it: [`Tree::link_merged`] makes them.
fn is_merge(path: &str, node: &Node) -> bool {
    let target = match node {
        Node::Link { target } => target.trim_start_matches('/'),
        _ => return false,
    };
    MERGED.contains(&path) && target.strip_prefix("usr/") == Some(path)
}

/// Where a link at `link` with this target leads; none when it climbs over the root.
fn joined(link: &str, target: &str) -> Option<String> {
    let mut segments: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => link.split('/').collect(),
    };
    segments.pop();
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &'static str) -> Node {
        Node::File { bytes: Bytes::from_static(text.as_bytes()), mode: 0o644 }
    }

    fn link(target: &str) -> Node {
        Node::Link { target: target.into() }
    }

    #[test]
    fn paths_that_leave_the_image_are_refused() {
        for path in ["../etc/passwd", "/etc/passwd", "usr/../../x", "", "./", "a//b", "a/\0"] {
            assert!(matches!(Tree::default().insert(path, file("")), Err(Refusal::Escapes(_))), "{path:?}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link_or_a_file() {
        let mut tree = Tree::default();
        tree.insert("./usr/x", link("/etc")).unwrap();
        assert_eq!(tree.insert("usr/x/passwd", file("")), Err(Refusal::BelowFile("usr/x/passwd".into())));
    }

    #[test]
    fn two_packages_may_not_differ_about_a_file() {
        let mut tree = Tree::default();
        tree.insert("etc/a", file("1")).unwrap();
        tree.insert("etc/a", file("1")).unwrap();
        assert_eq!(tree.insert("etc/a", file("2")), Err(Refusal::Conflict("etc/a".into())));
    }

    #[test]
    fn the_old_directories_are_folded_into_usr() {
        let mut tree = Tree::default();
        tree.insert("./lib/x86_64-linux-gnu/libc.so.6", file("")).unwrap();
        assert!(tree.get("usr/lib/x86_64-linux-gnu/libc.so.6").is_some());
    }

    #[test]
    fn a_package_may_bring_the_links_of_the_merge() {
        let mut tree = Tree::default();
        tree.insert("./sbin", link("usr/sbin")).unwrap();
        tree.insert("./usr/sbin/x", file("")).unwrap();
        assert_eq!(tree.iter().count(), 1);
        tree.insert("./bin", link("elsewhere")).unwrap();
        assert!(matches!(tree.insert("usr/bin/x", file("")), Err(Refusal::BelowFile(_))));
    }

    #[test]
    fn links_must_lead_somewhere() {
        let mut tree = Tree::default();
        tree.insert("usr/lib/libz.so.1.2", file("")).unwrap();
        for (path, target) in [
            ("usr/lib/libz.so.1", "libz.so.1.2"),
            ("usr/lib/libz.so", "/lib/libz.so.1"),
            ("etc/up", "../lib"),
            ("etc/folder", "/usr/lib"),
        ] {
            tree.insert(path, link(target)).unwrap();
        }
        tree.check_links().unwrap();
        for target in ["nowhere", "../../../../usr/lib", "/usr/lib/other", "bad"] {
            let mut tree = tree.clone();
            tree.insert("etc/bad", link(target)).unwrap();
            assert!(matches!(tree.check_links(), Err(BaseError::DanglingLink { .. })), "{target}");
        }
    }

    #[test]
    fn keep_wins_over_drop() {
        let recipe: Recipe = toml::from_str(
            "runtime = 'golang'\nsuite = 'b'\ndebian = []\ndrop = ['usr/share/doc']\nkeep = ['usr/share/doc/*/copyright']",
        )
        .unwrap();
        let mut tree = Tree::default();
        for path in ["usr/share/doc/a/copyright", "usr/share/doc/a/NEWS", "usr/lib/x"] {
            tree.insert(path, file("")).unwrap();
        }
        let left: Vec<_> = tree.select(&recipe).0.into_keys().collect();
        assert_eq!(left, ["usr/lib/x", "usr/share/doc/a/copyright"]);
    }
}
