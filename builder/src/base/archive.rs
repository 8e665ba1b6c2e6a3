//! From an archive's bytes to files of the image: the part that Debian packages and npm tarballs share.

use std::io::Read;

use bytes::Bytes;
use tar::{Entry, EntryType};

use super::tree::{Node, Tree};
use super::{Archive, BaseError, Locked, Recipe, debian, npm, wheel};

/// No package of ours comes near; an archive beyond it is damaged.
const MAX_UNPACKED: u64 = 1 << 30;

/// Adds an archive's files to the tree. The bytes were compared with the lock before.
pub(crate) fn unpack(
    recipe: &Recipe,
    locked: &Locked,
    bytes: &[u8],
    into: &mut Tree,
) -> Result<(), BaseError> {
    let unpacked = match locked.archive {
        Archive::Deb => debian::unpack(bytes, into),
        Archive::Npm => npm::unpack(bytes, recipe.npm.iter().find(|p| p.name == locked.name), into),
        Archive::Wheel => wheel::unpack(bytes, recipe, &locked.name, into),
    };
    unpacked.map_err(|reason| BaseError::Archive { package: locked.name.clone(), reason })
}

/// Adds the files of a tar, each at the path that `place` gives it; none leaves it out.
pub(crate) fn read_tar(
    reader: impl Read,
    place: impl Fn(&str) -> Option<String>,
    into: &mut Tree,
) -> Result<(), String> {
    let mut archive = tar::Archive::new(reader.take(MAX_UNPACKED));
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let path = text(&entry.path_bytes())?;
        let Some(path) = place(&path) else { continue };
        if let Some(node) = node(&mut entry, &path, into)? {
            into.insert(&path, node).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

/// What a tar entry is in the image; none for directories, which follow from the files.
fn node(entry: &mut Entry<'_, impl Read>, path: &str, tree: &Tree) -> Result<Option<Node>, String> {
    match entry.header().entry_type() {
        EntryType::Directory => Ok(None),
        EntryType::Regular | EntryType::Continuous => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            let mode = entry.header().mode().map_err(|e| e.to_string())?;
            Ok(Some(Node::File { bytes: Bytes::from(bytes), mode: plain_mode(mode) }))
        }
        EntryType::Symlink => Ok(Some(Node::Link { target: link_target(entry)? })),
        EntryType::Link => {
            let target = link_target(entry)?;
            let first = tree.get(target.strip_prefix("./").unwrap_or(&target));
            first
                .cloned()
                .map(Some)
                .ok_or_else(|| format!("{path} is a hard link to {target}, which is not there"))
        }
        other => Err(format!("{path} is of a kind that has no place in an image ({other:?})")),
    }
}

/// Permissions that do not depend on who packed: no set-id bits, nothing for groups that root has not.
fn plain_mode(mode: u32) -> u32 {
    if mode & 0o111 == 0 { 0o644 } else { 0o755 }
}

fn link_target(entry: &Entry<'_, impl Read>) -> Result<String, String> {
    let target = entry.link_name_bytes().ok_or("a link without a target")?;
    text(&target)
}

fn text(bytes: &[u8]) -> Result<String, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(format!("the name {:?} is not text", String::from_utf8_lossy(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(kind: EntryType, path: &str, target: &str, mode: u32) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        builder.into_inner().unwrap()
    }

    fn read(kind: EntryType, path: &str, target: &str, mode: u32) -> Result<Tree, String> {
        let mut tree = Tree::default();
        read_tar(tar_of(kind, path, target, mode).as_slice(), |p| Some(p.to_owned()), &mut tree)?;
        Ok(tree)
    }

    #[test]
    fn set_id_bits_are_masked() {
        let tree = read(EntryType::Regular, "./usr/bin/su", "", 0o4755).unwrap();
        assert!(matches!(tree.get("usr/bin/su"), Some(Node::File { mode: 0o755, .. })));
    }

    #[test]
    fn devices_and_pipes_are_refused() {
        for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
            let error = read(kind, "./dev/x", "", 0o644).unwrap_err();
            assert!(error.contains("./dev/x is of a kind"), "{error}");
        }
    }

    #[test]
    fn escapes_are_refused() {
        assert!(read(EntryType::Regular, "./../x", "", 0o644).unwrap_err().contains("leaves the image"));
        assert!(read(EntryType::Link, "./x", "../etc/passwd", 0o644).unwrap_err().contains("hard link"));
    }

    #[test]
    fn a_broken_tar_is_an_error() {
        let mut tree = Tree::default();
        assert!(read_tar([7_u8; 1000].as_slice(), |p| Some(p.to_owned()), &mut tree).is_err());
    }
}
