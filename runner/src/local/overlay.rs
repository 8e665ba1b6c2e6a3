//! Root file systems: one read-only overlay a distinct list of layers, shared by all instances of it.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use oci::Digest;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Layers of one image, at most: the mount options must fit into a page.
pub(crate) const LAYERS_MAX: usize = 50;

/// How a directory of a layer says that nothing of it below counts (`.wh..wh..opq` of an image's layer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opaque {
    /// By the attribute [`OPAQUE`], which an unpacker without privileges can set.
    Attribute,
    /// Not at all: the kernel is older than 5.11.
    Unsupported,
}

/// The attribute of an opaque directory; its value is `y`.
pub(crate) const OPAQUE: &str = "user.overlay.opaque";

impl Opaque {
    fn option(self) -> &'static str {
        match self {
            Self::Attribute => ",userxattr",
            Self::Unsupported => "",
        }
    }
}

/// Which root a sandbox uses; a digest of the list of layers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RootKey(String);

/// The mounted roots, each with the number of its users.
#[derive(Debug)]
pub(crate) struct Roots {
    directory: PathBuf,
    opaque: Opaque,
    users: HashMap<RootKey, Users>,
}

/// Of one root.
#[derive(Debug)]
struct Users {
    count: usize,
    layers: Vec<Digest>,
}

impl Roots {
    /// `directory` holds the mount points. The process must stand in the directory of the layers: their names
    /// are given relative to it, or they would not fit into the mount options.
    pub(crate) fn new(directory: PathBuf, opaque: Opaque) -> Self {
        Self { directory, opaque, users: HashMap::new() }
    }

    /// The root of these layers, mounted when nobody else uses it yet. To be given back with `release`.
    pub(crate) fn acquire(&mut self, layers: &[Digest]) -> io::Result<(RootKey, PathBuf)> {
        let names: Vec<&str> = layers.iter().rev().map(Digest::hex).collect();
        let names = names.join(":");
        let key = RootKey(Digest::of(names.as_bytes()).hex().to_owned());
        let target = self.directory.join(&key.0);
        let none = || Users { count: 0, layers: layers.to_vec() };
        let users = self.users.entry(key.clone()).or_insert_with(none);
        if users.count == 0
            && let Err(error) = mount_root(&names, &target, self.opaque)
        {
            self.users.remove(&key);
            // Not even made, perhaps.
            let _ = fs::remove_dir(&target);
            return Err(error);
        }
        users.count += 1;
        Ok((key, target))
    }

    /// Whether a mounted root has this layer.
    pub(crate) fn has(&self, layer: &Digest) -> bool {
        self.users.values().any(|users| users.layers.contains(layer))
    }

    /// Gives a root back; the last user's unmounts it.
    pub(crate) fn release(&mut self, key: &RootKey) -> io::Result<()> {
        let Some(users) = self.users.get_mut(key) else { return Ok(()) };
        users.count -= 1;
        if users.count > 0 {
            return Ok(());
        }
        self.users.remove(key);
        let target = self.directory.join(&key.0);
        unmount(&target, UnmountFlags::DETACH)?;
        fs::remove_dir(&target)
    }
}

/// Mounts one for a moment: a kernel without overlays is found out at the start, not at the first call.
pub(crate) fn probe(target: &Path) -> io::Result<Opaque> {
    let mounts = |opaque| -> io::Result<Opaque> {
        mount_root("../compile-root", target, opaque)?;
        unmount(target, UnmountFlags::DETACH)?;
        Ok(opaque)
    };
    let tried = mounts(Opaque::Attribute).or_else(|_| mounts(Opaque::Unsupported));
    // Not even made, perhaps.
    let _ = fs::remove_dir(target);
    tried.map_err(|error| {
        let text = format!(
            "this machine mounts no overlay file system over the data directory ({error}); load the module \
             (modprobe overlay), or keep the data on ext4, xfs or btrfs"
        );
        io::Error::new(error.kind(), text)
    })
}

fn mount_root(names: &str, target: &Path, opaque: Opaque) -> io::Result<()> {
    fs::create_dir_all(target)?;
    // The first name is the top. Two at least, as an overlay without an upper directory wants.
    let options = CString::new(format!("lowerdir=../skeleton:{names}{}", opaque.option()))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount("overlay", target, "overlay", flags, options.as_c_str())?;
    Ok(())
}
