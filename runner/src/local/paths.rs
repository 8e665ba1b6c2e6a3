//! Where everything lies.
//!
//! ```text
//! <data>/                root, passable
//!   server/              the server's (0700)
//!     run/               sockets of instances
//!     builds/<id>/       src and out of a compile job, src of a precompile job
//!   launcher/            the launcher's (root, 0700)
//!     lock               held while a launcher of this directory lives
//!     layers/<hex>/      unpacked layers by diff id; .tmp-* while being unpacked
//!     roots/<key>/       mounted root file systems, one a distinct list of layers
//!     bundles/<id>/      config.json, pid, log of the runtime; in memory, since a configuration may hold secrets
//!     runtime/           the OCI runtime's state
//!     compile/<id>/      mount points of a compile or precompile job
//!     skeleton/          top layer of every root: the mount points, with the right modes
//!     compile-root/      the root of compile jobs: nothing but mount points
//! ```

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Bytes of all bundles together; one is some 10 KB, and its environment.
const BUNDLES_BYTES: u64 = 1 << 30;

/// The launcher's part of the data directory.
#[derive(Debug, Clone)]
pub(crate) struct Paths(PathBuf);

impl Paths {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self(data_dir.join("launcher"))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.0.join("layers")
    }

    pub(crate) fn roots(&self) -> PathBuf {
        self.0.join("roots")
    }

    pub(crate) fn bundle(&self, id: &str) -> PathBuf {
        self.bundles().join(id)
    }

    fn bundles(&self) -> PathBuf {
        self.0.join("bundles")
    }

    pub(crate) fn runtime_state(&self) -> PathBuf {
        self.0.join("runtime")
    }

    pub(crate) fn compile(&self, id: &str) -> PathBuf {
        self.compiles().join(id)
    }

    fn compiles(&self) -> PathBuf {
        self.0.join("compile")
    }

    pub(crate) fn compile_root(&self) -> PathBuf {
        self.0.join("compile-root")
    }

    /// Removes what a dead launcher left and makes what a new one needs. Layers stay.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        self.remove_leftovers()?;
        for directory in [self.layers(), self.roots(), self.bundles(), self.runtime_state(), self.compiles()]
        {
            fs::create_dir_all(directory)?;
        }
        self.make_skeleton()?;
        self.make_compile_root()?;
        self.mount_bundles()
    }

    /// Also the last thing a launcher does, when nothing is mounted below any more.
    pub(crate) fn remove_leftovers(&self) -> io::Result<()> {
        match unmount(self.bundles(), UnmountFlags::DETACH) {
            // Not mounted, or not even made.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        remove_tree(&self.bundles())?;
        remove_tree(&self.runtime_state())?;
        // Mount points: only ever empty directories (or the file of a namespace), and never descended into.
        for job in entries(&self.compiles())? {
            for point in entries(&job)? {
                fs::remove_dir(&point).or_else(|_| fs::remove_file(&point))?;
            }
            fs::remove_dir(job)?;
        }
        for root in entries(&self.roots())? {
            fs::remove_dir(root)?;
        }
        for layer in entries(&self.layers())? {
            if layer.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp-")) {
                remove_tree(&layer)?;
            }
        }
        Ok(())
    }

    /// The environment of a foreign image's process is in its bundle, and is to be in no file. The mount ends with
    /// the launcher's namespace.
    fn mount_bundles(&self) -> io::Result<()> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let options = CString::new(format!("mode=700,size={BUNDLES_BYTES}"))?;
        Ok(mount("tmpfs", self.bundles(), "tmpfs", flags, options.as_c_str())?)
    }

    /// The top layer of every root. A runtime gives a tmpfs the mode of the directory below it, and can't make
    /// mount points in a read-only root: so both come from here, whatever the image says.
    fn make_skeleton(&self) -> io::Result<()> {
        let skeleton = self.0.join("skeleton");
        for name in ["dev", "proc", "sys", "tmp", "etc"] {
            make_dir(&skeleton.join(name), 0o755)?;
        }
        make_dir(&skeleton.join("tmp"), 0o1777)?;
        fs::write(skeleton.join("etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
        make_dir(&skeleton, 0o755)
    }

    fn make_compile_root(&self) -> io::Result<()> {
        let root = self.compile_root();
        for name in ["dev", "proc", "usr/local/go", "src", "gopath", "out", "cache"] {
            make_dir(&root.join(name), 0o755)?;
        }
        make_dir(&root.join("tmp"), 0o1777)?;
        make_dir(&root, 0o755)
    }
}

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
