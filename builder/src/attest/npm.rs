//! npm's packages: those in `node_modules`, by the description that each brings. A function without that folder is
//! bundled; then its lock file, when it has one, says what went in.

use serde::Deserialize;
use serde_json::Value;

use super::description;
use super::package::{Ecosystem, Package, Presence};
use crate::tree::Tree;
use crate::zip::{Inflater, Refusal};

const LOCK: &str = "package-lock.json";

#[derive(Deserialize)]
struct Description {
    name: Option<String>,
    version: Option<String>,
    license: Option<Value>,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: std::collections::BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    version: Option<String>,
    license: Option<Value>,
    #[serde(default)]
    dev: bool,
}

pub(super) fn packages(tree: &Tree<'_>) -> Result<Vec<Package>, Refusal> {
    let mut inflater = Inflater::new();
    let mut found = Vec::new();
    for path in tree.files().filter(|path| folder_name(path).is_some()) {
        let Some(bytes) = description(tree, path, &mut inflater)? else { continue };
        // What does not describe itself is still there, under its folder's name.
        let said = serde_json::from_slice(&bytes).unwrap_or(Description {
            name: None,
            version: None,
            license: None,
        });
        let name = said.name.as_deref().or(folder_name(path)).unwrap_or_default();
        let package = Package::new(Ecosystem::Npm, name, said.version.as_deref().unwrap_or_default());
        found.push(package.licensed(said.license.as_ref().and_then(Value::as_str)));
    }
    if found.is_empty()
        && let Some(bytes) = description(tree, LOCK, &mut inflater)?
    {
        found = locked(&bytes);
    }
    Ok(found)
}

/// The name of the package that a `package.json` is the description of: of one right below a `node_modules`.
fn folder_name(path: &str) -> Option<&str> {
    let folder = path.strip_suffix("/package.json")?;
    let name = match folder.rsplit_once("node_modules/") {
        Some((before, name)) if before.is_empty() || before.ends_with('/') => name,
        _ => return None,
    };
    let depth = name.matches('/').count();
    (depth == usize::from(name.starts_with('@'))).then_some(name)
}

fn locked(bytes: &[u8]) -> Vec<Package> {
    let Ok(lock) = serde_json::from_slice::<Lock>(bytes) else { return Vec::new() };
    let package = |(path, locked): (String, Locked)| {
        let name = folder_name(&format!("{path}/package.json"))?.to_owned();
        let package = Package::new(Ecosystem::Npm, &name, &locked.version?);
        let license = locked.license.as_ref().and_then(Value::as_str);
        Some(Package { presence: Presence::Locked, ..package.licensed(license) })
    };
    lock.packages.into_iter().filter(|(_, locked)| !locked.dev).filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::{Data, Kind};

    fn names(files: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, Kind::File { executable: false, data: Data::plain(text.as_bytes()) });
        }
        packages(&tree).unwrap().into_iter().map(|package| (package.url(), package.license)).collect()
    }

    #[test]
    fn installed_packages_describe_themselves() {
        let found = names(&[
            ("package.json", r#"{"name": "me", "version": "9.9.9"}"#),
            ("node_modules/a/package.json", r#"{"name": "a", "version": "1.0.0", "license": "MIT"}"#),
            ("node_modules/a/lib/package.json", r#"{"type": "module"}"#),
            (
                "node_modules/@s/b/package.json",
                r#"{"name": "@s/b", "version": "2.0.0", "license": {"type": "X"}}"#,
            ),
            ("node_modules/a/node_modules/c/package.json", "no JSON"),
            ("my_node_modules/d/package.json", r#"{"name": "d", "version": "1.0.0"}"#),
        ]);
        let expected = [
            ("pkg:npm/%40s/b@2.0.0", None),
            ("pkg:npm/c", None),
            ("pkg:npm/a@1.0.0", Some("MIT".to_owned())),
        ];
        let mut found: Vec<_> = found.iter().map(|(url, license)| (url.as_str(), license.clone())).collect();
        found.sort_by_key(|(url, _)| url.len());
        found.reverse();
        for one in expected {
            assert!(found.contains(&one), "{found:?}");
        }
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_bundle_is_known_by_its_lock() {
        let lock = r#"{"packages": {"": {"version": "1.0.0"}, "node_modules/a": {"version": "1.0.0", "license": "ISC"},
            "node_modules/b": {"version": "1.0.0", "dev": true}}}"#;
        assert_eq!(
            names(&[("package-lock.json", lock)]),
            [("pkg:npm/a@1.0.0".to_owned(), Some("ISC".to_owned()))]
        );
    }
}
