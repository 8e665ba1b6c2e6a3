//! Python's packages: those that pip left a description of, wherever they were installed.

use super::description;
use super::package::{Ecosystem, Package};
use crate::tree::Tree;
use crate::zip::{Inflater, Refusal};

pub(super) fn packages(tree: &Tree<'_>) -> Result<Vec<Package>, Refusal> {
    let mut inflater = Inflater::new();
    let mut found = Vec::new();
    for path in tree.files().filter(|path| is_description(path)) {
        let Some(bytes) = description(tree, path, &mut inflater)? else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let Some(name) = field(&text, "Name") else { continue };
        let package = Package::new(Ecosystem::Python, name, field(&text, "Version").unwrap_or_default());
        found.push(package.licensed(field(&text, "License-Expression").or(field(&text, "License"))));
    }
    Ok(found)
}

fn is_description(path: &str) -> bool {
    path.ends_with(".dist-info/METADATA") || path.ends_with(".egg-info/PKG-INFO")
}

/// A field of the head, which ends with the first empty line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let head = text.lines().take_while(|line| !line.is_empty());
    let mut values = head.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next().map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::{Data, Kind};

    #[test]
    fn what_pip_installed() {
        let mut tree = Tree::default();
        for (path, text) in [
            (
                "package/Flask-3.0.dist-info/METADATA",
                "Metadata-Version: 2.1\nName: Flask\nVersion: 3.0\nLicense: MIT\n\nName: x\n",
            ),
            ("package/old.egg-info/PKG-INFO", "Name: old\r\nVersion: 1\r\nLicense: do what you like\r\n"),
            ("package/METADATA", "Name: no\n"),
        ] {
            tree.insert(path, Kind::File { executable: false, data: Data::plain(text.as_bytes()) });
        }
        let found: Vec<_> =
            packages(&tree).unwrap().into_iter().map(|one| (one.url(), one.license)).collect();
        assert_eq!(
            found,
            [("pkg:pypi/flask@3.0".to_owned(), Some("MIT".to_owned())), ("pkg:pypi/old@1".to_owned(), None)]
        );
    }
}
