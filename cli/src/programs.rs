//! The programs that go into images and run functions on this machine: the shim and the workers. They are named
//! by an option, or are inside this binary, or lie in a checkout or beside the executable.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// Where `cargo build --profile shim` leaves the static shim.
const BUILT_SHIM: &str = "target/x86_64-unknown-linux-gnu/shim/zipship-shim";

/// Files that were put into this binary when it was built.
pub(crate) struct Embedded {
    /// Changes with every byte of them.
    key: &'static str,
    /// Paths below their folder, and bytes.
    files: &'static [(&'static str, &'static [u8])],
}

/// `$XDG_CACHE_HOME/zipship`, or `~/.cache/zipship`.
pub(crate) fn cache() -> PathBuf {
    let home =
        || env::var_os("HOME").map_or_else(|| PathBuf::from("/var/cache"), |h| Path::new(&h).join(".cache"));
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.unwrap_or_else(home).join("zipship")
}

/// The shim's executable.
pub(crate) fn shim(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let in_target = env::var_os("CARGO_TARGET_DIR").map(|target| {
        Path::new(&target).join("x86_64-unknown-linux-gnu/shim/zipship-shim").display().to_string()
    });
    let here: Vec<&str> = in_target.as_deref().into_iter().chain([BUILT_SHIM]).collect();
    program("shim", "--shim", named, &here, "zipship-shim")
}

/// The folder of the worker programs.
pub(crate) fn workers(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    program("worker programs", "--workers", named, &["runtime-shim/workers"], "workers")
}

fn program(
    what: &str,
    option: &str,
    named: Option<&Path>,
    here: &[&str],
    inside: &str,
) -> anyhow::Result<PathBuf> {
    match (named, embedded::EMBEDDED) {
        (None, Some(embedded)) => Ok(embedded.unpacked().context("unpacking the shim")?.join(inside)),
        _ => found(what, option, named, here, inside),
    }
}

/// What an option names, else what lies here, else what lies beside the executable.
pub(crate) fn found(
    what: &str,
    option: &str,
    named: Option<&Path>,
    here: &[&str],
    beside: &str,
) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        let missing = || format!("{option}: {} is not there", named.display());
        return fs::canonicalize(named).with_context(missing);
    }
    let executable = env::current_exe().ok().and_then(|path| Some(path.parent()?.join(beside)));
    let candidates = here.iter().map(PathBuf::from).chain(executable);
    let there = candidates.filter_map(|path| fs::canonicalize(path).ok()).next();
    there.with_context(|| {
        format!("no {what} here ({}) nor beside the executable; name them with {option}", here.join(", "))
    })
}

impl Embedded {
    /// The folder with the files, below the cache; where that can't be written, below the temporary files.
    fn unpacked(&self) -> io::Result<PathBuf> {
        self.unpack_below(&cache()).or_else(|_| {
            let user = rustix::process::geteuid().as_raw();
            self.unpack_below(&env::temp_dir().join(format!("zipship-{user}")))
        })
    }

    fn unpack_below(&self, folder: &Path) -> io::Result<PathBuf> {
        let folder = folder.join("programs");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        // Somebody else's folder in a shared place could be filled with somebody else's programs.
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&folder)?);
        if owner != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!("{} belongs to user {owner}", folder.display())));
        }
        let target = folder.join(self.key);
        if self.is_whole(&target) {
            return Ok(target);
        }
        let fresh = tempfile::Builder::new().prefix(".new-").tempdir_in(&folder)?;
        for (name, bytes) in self.files {
            let path = fresh.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(fresh.path()))?;
            fs::File::create(&path)?.write_all(bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let old = tempfile::Builder::new().prefix(".old-").tempdir_in(&folder)?;
        if target.exists() {
            // Not whole: it is moved away, since it cannot be replaced in one step.
            fs::rename(&target, old.path().join("broken"))?;
        }
        match fs::rename(fresh.path(), &target) {
            Ok(()) => Ok(target),
            // Another one was quicker.
            Err(_) if self.is_whole(&target) => Ok(target),
            Err(error) => Err(error),
        }
    }

    fn is_whole(&self, folder: &Path) -> bool {
        self.files.iter().all(|(name, bytes)| fs::read(folder.join(name)).is_ok_and(|there| there == *bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: Embedded = Embedded { key: "k", files: &[("zipship-shim", b"1"), ("workers/a/b.js", b"2")] };

    #[test]
    fn embedded_files_are_unpacked_once_and_mended_when_broken() {
        let folder = tempfile::tempdir().unwrap();
        let target = FILES.unpack_below(folder.path()).unwrap();
        assert_eq!(fs::read(target.join("workers/a/b.js")).unwrap(), b"2");
        let before = fs::metadata(target.join("zipship-shim")).unwrap();
        assert_eq!(before.permissions().mode() & 0o777, 0o755);
        assert_eq!(FILES.unpack_below(folder.path()).unwrap(), target);
        let same = fs::metadata(target.join("zipship-shim")).unwrap();
        assert_eq!(before.modified().unwrap(), same.modified().unwrap());
        fs::write(target.join("zipship-shim"), "half").unwrap();
        assert_eq!(FILES.unpack_below(folder.path()).unwrap(), target);
        assert_eq!(fs::read(target.join("zipship-shim")).unwrap(), b"1");
        assert_eq!(fs::read_dir(folder.path().join("programs")).unwrap().count(), 1);
    }
}
