//! The programs that go into images and run functions on this machine: the shim and the workers. They are named
//! by an option, or are inside this binary, or lie in a checkout or beside the executable.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use builder::{Architecture, NoSuchArchitecture};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

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

/// An argument of `--shim`: a file, and the architecture that it is for when that is said (`arm64=FILE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShimOption {
    architecture: Architecture,
    path: PathBuf,
}

impl FromStr for ShimOption {
    type Err = NoSuchArchitecture;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (architecture, path) = match text.split_once('=') {
            // A path may have the sign as well.
            Some((before, path)) if !before.contains(['/', '.']) => (before.parse()?, path),
            _ => (Architecture::HOST, text),
        };
        Ok(Self { architecture, path: PathBuf::from(path) })
    }
}

/// The shim's executable for this machine.
pub(crate) fn shim(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    find_shim(Architecture::HOST, named)
}

/// The shim's executable for an architecture: the last that is named for it, or where it is by default.
pub(crate) fn shim_for(architecture: Architecture, named: &[ShimOption]) -> anyhow::Result<PathBuf> {
    let named = named.iter().rev().find(|option| option.architecture == architecture);
    find_shim(architecture, named.map(|option| option.path.as_path()))
}

fn find_shim(architecture: Architecture, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    // Where `cargo build --profile shim` and `scripts/aarch64` leave it below a target folder.
    let (below, inside) = match architecture {
        Architecture::Amd64 => ("x86_64-unknown-linux-gnu/shim/zipship-shim", "zipship-shim"),
        Architecture::Arm64 => ("aarch64/aarch64-unknown-linux-gnu/shim/zipship-shim", "zipship-shim-arm64"),
    };
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let here: Vec<String> = target
        .into_iter()
        .chain([PathBuf::from("target")])
        .map(|target| target.join(below).display().to_string())
        .collect();
    let here: Vec<&str> = here.iter().map(String::as_str).collect();
    match architecture {
        Architecture::Amd64 => program("shim", "--shim", named, &here, inside),
        Architecture::Arm64 => program("shim for arm64", "--shim arm64=FILE", named, &here, inside),
    }
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
        (None, Some(embedded)) if embedded.has(inside) => {
            Ok(embedded.unpacked().context("unpacking the shim")?.join(inside))
        }
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
    /// Whether a file or folder of that name is inside.
    fn has(&self, inside: &str) -> bool {
        self.files.iter().any(|(name, _)| name.split('/').next() == Some(inside))
    }

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
    fn a_shim_may_be_named_for_an_architecture() {
        let parsed = |text: &str| {
            let option: ShimOption = text.parse().unwrap();
            (option.architecture, option.path.display().to_string())
        };
        assert_eq!(parsed("arm64=/a/b=c"), (Architecture::Arm64, "/a/b=c".into()));
        assert_eq!(parsed("x86_64=shim"), (Architecture::Amd64, "shim".into()));
        assert_eq!(parsed("./odd=name"), (Architecture::HOST, "./odd=name".into()));
        assert!("sparc=/shim".parse::<ShimOption>().is_err());
        let named = ["/dev/null", "arm64=/dev/zero"].map(|text| text.parse().unwrap());
        assert_eq!(shim_for(Architecture::Arm64, &named).unwrap(), Path::new("/dev/zero"));
        assert!(FILES.has("zipship-shim") && FILES.has("workers") && !FILES.has("zipship-shim-arm64"));
    }

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
