//! The folder of one job in a sandbox, below the platform's `builds/`: it goes with this value.

use std::{
    fs,
    io::{self, Read as _, Seek as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::store::new_id;

/// What a program said as a person reads it, in bytes; more than this is no help.
const WORDS: u64 = 16 << 10;

/// A folder that is the server's alone.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one for a job of a deploy.
    pub(super) fn make(builds: &Path, deploy_id: &str) -> io::Result<Self> {
        // An attempt that was cut off may still own a folder of the deploy's: never the same one twice.
        let name = format!("{}-{}", &deploy_id[..8.min(deploy_id.len())], &new_id()[..8]);
        let folder = builds.join(name);
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    /// What the runner calls it: its name.
    pub(super) fn id(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where something of it lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a folder in it that a sandbox's user can read.
    pub(super) fn readable(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.path(name);
        fs::DirBuilder::new().mode(0o755).create(&folder)?;
        Ok(folder)
    }

    /// Makes a folder in it that a sandbox's user can write in.
    pub(super) fn writable(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.readable(name)?;
        // Over whatever the umask takes away.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        Ok(folder)
    }

    /// Makes a file in it, for a descriptor of a sandbox.
    pub(super) fn file(&self, name: &str) -> io::Result<fs::File> {
        fs::OpenOptions::new().read(true).append(true).create_new(true).open(self.path(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a build's files could not be removed");
        }
    }
}

/// What a program said, from the beginning.
pub(super) fn words(log: &mut fs::File) -> io::Result<String> {
    log.seek(io::SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    log.take(WORDS).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
