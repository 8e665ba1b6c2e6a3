//! Dependencies and code as trees of their own: a changed line of code then pushes a layer of kilobytes.

use contract::runtime::Language;

use crate::tree::Tree;
use crate::zip::Kind;

/// A function's files in the order of their layers.
#[derive(Debug, Clone, Default)]
pub struct Split<'a> {
    /// What package managers put there.
    pub dependencies: Tree<'a>,
    /// All else.
    pub code: Tree<'a>,
}

/// Takes a tree apart. Every node ends in exactly one part; directories come with what is in them.
#[must_use]
pub fn split<'a>(tree: &Tree<'a>, language: Language) -> Split<'a> {
    let mut split = Split::default();
    for (path, kind) in tree.iter() {
        // A directory with something in it is made again by what is in it.
        if matches!(kind, Kind::Directory) && has_children(tree, path) {
            continue;
        }
        let part = if is_dependency(path, language) { &mut split.dependencies } else { &mut split.code };
        part.insert(path, kind.clone());
    }
    split
}

fn has_children(tree: &Tree<'_>, path: &str) -> bool {
    tree.below(path).next().is_some()
}

/// Whether a path belongs to installed packages. `node_modules` may lie anywhere; the others are ordinary
/// words and count only at the top.
fn is_dependency(path: &str, language: Language) -> bool {
    let top = path.split('/').next().unwrap_or_default();
    match language {
        Language::Node => top == "vendor" || path.split('/').any(|component| component == "node_modules"),
        Language::Python => matches!(top, "package" | "vendor"),
        Language::Golang => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::Data;

    fn paths(tree: &Tree<'_>) -> Vec<String> {
        tree.iter().map(|(path, _)| path.to_owned()).collect()
    }

    #[test]
    fn installed_packages_are_apart_from_code() {
        let mut tree = Tree::default();
        for path in ["handler.js", "src/node_modules/a/index.js", "src/x.js", "vendored.js", "vendor/v.js"] {
            tree.insert(path, Kind::File { executable: false, data: Data::plain(b"1") });
        }
        tree.insert("tmp", Kind::Directory);
        let node = split(&tree, Language::Node);
        assert_eq!(
            paths(&node.dependencies),
            [
                "src",
                "src/node_modules",
                "src/node_modules/a",
                "src/node_modules/a/index.js",
                "vendor",
                "vendor/v.js"
            ]
        );
        assert_eq!(paths(&node.code), ["handler.js", "src", "src/x.js", "tmp", "vendored.js"]);
        assert!(paths(&split(&tree, Language::Golang).dependencies).is_empty());
    }
}
