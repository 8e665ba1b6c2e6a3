//! A function's files as a tree: what an archive says, with every directory that its paths imply.

use std::collections::BTreeMap;

use crate::zip::{Archive, Data, Kind};

/// The files of a function (or of one layer of it), by path below the code directory. Parents come before
/// what is in them, and every parent is there.
#[derive(Debug, Clone, Default)]
pub struct Tree<'a> {
    nodes: BTreeMap<String, Kind<'a>>,
}

impl<'a> Tree<'a> {
    /// The tree of a vetted archive. Directories that the archive lists and that hold something leave no
    /// other trace than those it does not list, so it does not matter whether a tool lists them.
    #[must_use]
    pub fn of(archive: &Archive<'a>) -> Self {
        let mut tree = Self::default();
        for entry in &archive.entries {
            tree.insert(&entry.path, entry.kind.clone());
        }
        tree
    }

    /// A tree of one executable file.
    #[must_use]
    pub fn of_program(name: &str, bytes: &'a [u8]) -> Self {
        let mut tree = Self::default();
        tree.insert(name, Kind::File { executable: true, data: Data::plain(bytes) });
        tree
    }

    /// Adds a node and its parents.
    pub fn insert(&mut self, path: &str, kind: Kind<'a>) {
        for (at, _) in path.match_indices('/') {
            self.nodes.entry(path[..at].to_owned()).or_insert(Kind::Directory);
        }
        match kind {
            Kind::Directory => {
                self.nodes.entry(path.to_owned()).or_insert(Kind::Directory);
            }
            other => {
                self.nodes.insert(path.to_owned(), other);
            }
        }
    }

    /// The nodes in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Kind<'a>)> {
        self.nodes.iter().map(|(path, kind)| (path.as_str(), kind))
    }

    /// What lies at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Kind<'a>> {
        self.nodes.get(path)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What lies below a directory, at any depth, in order.
    pub fn below(&self, directory: &str) -> impl Iterator<Item = (&str, &Kind<'a>)> {
        let prefix = format!("{directory}/");
        self.nodes
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, kind)| (path.as_str(), kind))
    }

    /// Paths of the regular files, in order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|(_, kind)| matches!(kind, Kind::File { .. })).map(|(path, _)| path)
    }

    /// The regular file that a path leads to, through links when it is one.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<(bool, Data<'a>)> {
        let mut path = path.to_owned();
        // Links may point at each other in circles; Linux gives up after 40, too.
        for _ in 0..40 {
            match self.nodes.get(&path)? {
                Kind::File { executable, data } => return Some((*executable, *data)),
                Kind::Directory => return None,
                Kind::Link { target } => path = follow(&path, target),
            }
        }
        None
    }
}

/// Where a link leads, as a path of the tree.
fn follow(link: &str, target: &str) -> String {
    let mut components: Vec<&str> = link.split('/').collect();
    components.pop();
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    components.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_there_and_come_first() {
        let mut tree = Tree::default();
        tree.insert("a/b/c", Kind::File { executable: false, data: Data::plain(b"1") });
        tree.insert("a-b", Kind::Directory);
        tree.insert("a/b", Kind::Directory);
        let paths: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a-b", "a/b", "a/b/c"]);
    }

    #[test]
    fn links_lead_to_files_and_circles_to_nothing() {
        let mut tree = Tree::default();
        tree.insert("lib/x.js", Kind::File { executable: false, data: Data::plain(b"1") });
        tree.insert("bin/x", Kind::Link { target: "../lib/./x.js".into() });
        tree.insert("a", Kind::Link { target: "b".into() });
        tree.insert("b", Kind::Link { target: "a".into() });
        assert!(tree.file("bin/x").is_some());
        assert!(tree.file("a").is_none());
        assert!(tree.file("lib").is_none());
    }
}
