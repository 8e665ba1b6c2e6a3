//! The files of every base that no package brings: users, name service, certificates.

use bytes::{Bytes, BytesMut};
use contract::environment::{CODE_DIRECTORY, CONTAINER_UID};

use super::tree::{Node, Tree};
use super::{BaseError, Recipe};

/// Where Debian's `ca-certificates` keeps the single certificates.
const CERTIFICATES: &str = "usr/share/ca-certificates/";
/// All of them in one file, where everything looks for it.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Directories with an owner or a mode of their own: path, mode, owner. The code directory comes on top.
const DIRECTORIES: [(&str, u32, u32); 9] = [
    ("dev", 0o755, 0),
    ("etc", 0o755, 0),
    ("home/app", 0o755, CONTAINER_UID),
    ("proc", 0o755, 0),
    ("root", 0o700, 0),
    ("run", 0o755, 0),
    ("sys", 0o755, 0),
    ("tmp", 0o1777, 0),
    ("var/tmp", 0o1777, 0),
];

/// Links of every base: path and target. The second half is where OpenSSL looks for certificates by default.
const LINKS: [(&str, &str); 4] = [
    ("var/run", "/run"),
    ("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt"),
    ("usr/lib/ssl/certs", "/etc/ssl/certs"),
    ("etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
];

/// Adds them to the packages' files.
pub(crate) fn add(tree: &mut Tree, recipe: &Recipe) -> Result<(), BaseError> {
    let bundle = bundle(tree)?;
    let own = own_files(bundle)
        .into_iter()
        .chain(LINKS.iter().map(|(path, to)| (*path, link(to))))
        .chain(DIRECTORIES.iter().map(|&(path, mode, owner)| (path, Node::Directory { mode, owner })))
        .chain([(code_directory(), Node::Directory { mode: 0o755, owner: CONTAINER_UID })])
        .chain(recipe.links.iter().map(|(path, to)| (path.as_str(), link(to))));
    for (path, node) in own {
        tree.insert(path, node)
            .map_err(|e| BaseError::Recipe { path: recipe.path.clone(), reason: e.to_string() })?;
    }
    Ok(())
}

/// The code directory as a path of the tree.
fn code_directory() -> &'static str {
    CODE_DIRECTORY.trim_start_matches('/')
}

fn link(target: &str) -> Node {
    Node::Link { target: target.to_owned() }
}

fn own_files(bundle: Bytes) -> [(&'static str, Node); 5] {
    let uid = CONTAINER_UID;
    let text = |text: String| Node::File { bytes: Bytes::from(text), mode: 0o644 };
    [
        (
            "etc/passwd",
            text(format!(
                "root:x:0:0:root:/root:/usr/sbin/nologin\napp:x:{uid}:{uid}:app:/home/app:/usr/sbin/nologin\n"
            )),
        ),
        ("etc/group", text(format!("root:x:0:\napp:x:{uid}:\n"))),
        (
            "etc/nsswitch.conf",
            text("passwd: files\ngroup: files\nhosts: files dns\nservices: files\n".into()),
        ),
        ("etc/hosts", text("127.0.0.1 localhost\n::1 localhost\n".into())),
        (BUNDLE, Node::File { bytes: bundle, mode: 0o644 }),
    ]
}

/// All certificates in the order of their paths, each ending in a line end.
fn bundle(tree: &Tree) -> Result<Bytes, BaseError> {
    let mut bundle = BytesMut::new();
    for (path, node) in tree.iter() {
        let Node::File { bytes, .. } = node else { continue };
        if path.starts_with(CERTIFICATES) && path.ends_with(".crt") {
            bundle.extend_from_slice(bytes);
            if !bytes.ends_with(b"\n") {
                bundle.extend_from_slice(b"\n");
            }
        }
    }
    if bundle.is_empty() {
        return Err(BaseError::Archive {
            package: "ca-certificates".into(),
            reason: "there are no certificates; the recipe needs the package".into(),
        });
    }
    Ok(bundle.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        toml::from_str("runtime = 'golang'\nsuite = 'b'\ndebian = []\nlinks = { 'usr/bin/x' = 'y' }").unwrap()
    }

    fn certificate(text: &'static str) -> Node {
        Node::File { bytes: Bytes::from_static(text.as_bytes()), mode: 0o644 }
    }

    #[test]
    fn the_bundle_is_ordered_by_path_and_keeps_certificates_apart() {
        let mut tree = Tree::default();
        tree.insert("usr/share/ca-certificates/mozilla/B.crt", certificate("two")).unwrap();
        tree.insert("usr/share/ca-certificates/mozilla/A.crt", certificate("one\n")).unwrap();
        tree.insert("usr/share/ca-certificates/README", certificate("no")).unwrap();
        add(&mut tree, &recipe()).unwrap();
        assert_eq!(tree.get(BUNDLE), Some(&certificate("one\ntwo\n")));
        assert_eq!(tree.get("usr/bin/x"), Some(&link("y")));
        assert_eq!(
            tree.get("home/app/function"),
            Some(&Node::Directory { mode: 0o755, owner: CONTAINER_UID })
        );
    }

    #[test]
    fn an_image_without_certificates_is_refused() {
        let error = add(&mut Tree::default(), &recipe()).unwrap_err().to_string();
        assert!(error.contains("ca-certificates"), "{error}");
    }
}
