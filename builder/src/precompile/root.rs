//! An image's layers as a folder, for a sandbox to start in: files, folders and links with the owner of whoever builds.
//! Links of the image are never followed on this machine; devices and the like are left out.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use oci::{Image, Layer};
use tar::EntryType;

use super::PrecompileError;
use crate::foreign::files::{Files, unpacked};

/// How much an image may be, in bytes.
const LARGEST: u64 = 16 << 30;

/// Unpacks an image below an empty folder.
pub(super) fn unpack(image: &Image, root: &Path) -> Result<(), PrecompileError> {
    let mut files = Files::default();
    let mut left = LARGEST;
    for layer in &image.layers {
        let layer = layer.layer.as_ref();
        one(layer, root, &mut files, &mut left).map_err(|error| PrecompileError::Layer {
            digest: layer.digest().clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(())
}

fn one(layer: &dyn Layer, root: &Path, files: &mut Files, left: &mut u64) -> io::Result<()> {
    let unknown = || io::Error::other(format!("{} is not read here", layer.media_type()));
    let tar = unpacked(layer)?.ok_or_else(unknown)?;
    let mut own = BTreeSet::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let change = files.apply(&entry, &mut own);
        for gone in &change.gone {
            remove(&root.join(gone))?;
        }
        if let Some(path) = change.path.filter(|path| !path.is_empty()) {
            write(&mut entry, root, &path, files, left)?;
        }
    }
    Ok(())
}

/// Paths come without links in them, so nothing here leads out of the folder.
fn write(
    entry: &mut tar::Entry<'_, impl Read>,
    root: &Path,
    path: &str,
    files: &Files,
    left: &mut u64,
) -> io::Result<()> {
    let to = root.join(path);
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mode = entry.header().mode().unwrap_or(0o644) & 0o777;
    let text = |bytes: Option<std::borrow::Cow<'_, [u8]>>| {
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    match entry.header().entry_type() {
        EntryType::Directory => match fs::create_dir(&to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::set_permissions(&to, fs::Permissions::from_mode(mode | 0o700)),
        },
        EntryType::Symlink => symlink(text(entry.link_name_bytes()), &to),
        EntryType::Link => {
            let target = files.target(path).ok_or_else(|| io::Error::other("its links go in circles"))?;
            fs::hard_link(root.join(target), &to)
        }
        kind if kind.is_file() => {
            *left =
                left.checked_sub(entry.size()).ok_or_else(|| io::Error::other("the image is too large"))?;
            io::copy(entry, &mut fs::File::create_new(&to)?)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(mode | 0o400))
        }
        _ => Ok(()),
    }
}

/// Removes what is there, if anything is.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
