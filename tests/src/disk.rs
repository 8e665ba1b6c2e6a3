//! A disk of its own for what a server keeps, so that it can be full.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// In memory, and gone when dropped.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Makes the directory, and mounts a disk of so many megabytes there.
    pub(crate) fn mount(at: &Path, megabytes: u32) -> anyhow::Result<Self> {
        fs::create_dir_all(at)?;
        let options = CString::new(format!("mode=700,size={megabytes}m"))?;
        mount("tmpfs", at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
            .with_context(|| format!("mounting a disk at {}", at.display()))?;
        Ok(Self(at.to_owned()))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.filler())?;
        // Down to pieces of a page.
        for piece in [1 << 20, 4096] {
            loop {
                match file.write(&vec![0; piece]) {
                    Ok(0) => bail!("nothing was written"),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Gives back what [`Disk::fill`] took.
    pub(crate) fn free(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Others that still look at it keep it until they have gone.
        if let Err(error) = unmount(&self.0, UnmountFlags::DETACH) {
            eprintln!("the disk at {} stays: {error}", self.0.display());
        }
    }
}
