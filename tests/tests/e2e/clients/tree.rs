//! What lies in an image where the function is, beside what its archive has.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use zip::ZipArchive;

/// Where functions are, in every image.
const FOLDER: &str = "home/app/function";

#[derive(Debug, PartialEq, Eq)]
enum Node {
    Directory,
    Link(String),
    File { mode: u32, content: Vec<u8> },
}

type Tree = BTreeMap<String, Node>;

/// Names, kinds, modes, link targets and bytes below an unpacked root are those of the archive, no more and no less.
pub(super) fn assert_is_of(root: &Path, archive: &Path) {
    let (mut found, expected) = (Tree::new(), of_archive(archive));
    walk(&root.join(FOLDER), "", &mut found);
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, node) in &expected {
        // Not assert_eq: the bytes would be printed.
        assert!(found[name] == *node, "{name} differs from the archive's");
    }
}

fn of_archive(archive: &Path) -> Tree {
    let mut archive = ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let mut tree = Tree::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let name = entry.name().unwrap().trim_end_matches('/').to_owned();
        let mode = entry.unix_mode().unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let node = match mode & 0o170_000 {
            0o040_000 => Node::Directory,
            0o120_000 => Node::Link(String::from_utf8(content).unwrap()),
            // The owner's right to execute is what is kept of a mode.
            _ => Node::File { mode: if mode & 0o100 == 0 { 0o644 } else { 0o755 }, content },
        };
        tree.insert(name, node);
    }
    assert!(tree.len() > 10, "{:?}", tree.keys());
    tree
}

fn walk(folder: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        let metadata = fs::symlink_metadata(&path).unwrap();
        let node = if metadata.is_dir() {
            walk(&path, &format!("{name}/"), tree);
            Node::Directory
        } else if metadata.is_symlink() {
            Node::Link(fs::read_link(&path).unwrap().to_str().unwrap().to_owned())
        } else {
            Node::File { mode: metadata.permissions().mode() & 0o7777, content: fs::read(&path).unwrap() }
        };
        tree.insert(name, node);
    }
}
