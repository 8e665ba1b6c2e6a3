//! `lock.toml` (`lock.arm64.toml` for arm64): every archive of a base image by version, path on a mirror, size and
//! SHA-256.
//!
//! There are no hosts in a lock: where the archives come from is the business of the machine that builds.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{BaseError, Recipe};
use crate::Architecture;

/// Name of the file in a recipe's folder.
fn file(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "lock.toml",
        Architecture::Arm64 => "lock.arm64.toml",
    }
}

/// The archives of one base image, in the recipe's order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The archives.
    #[serde(rename = "package")]
    pub packages: Vec<Locked>,
    /// Where it was read from.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// The file's text, for the cache key.
    #[serde(skip)]
    pub(crate) text: String,
}

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// Its format, which also says what kind of mirror has it.
    pub archive: Archive,
    /// Path below a mirror's root.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal, lower case.
    pub sha256: String,
}

/// Format of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archive {
    /// A Debian package.
    Deb,
    /// A tarball of npm.
    Npm,
    /// A wheel of the Python package index; its path is the project and the file's name.
    Wheel,
}

impl Archive {
    fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Npm => "npm",
            Self::Wheel => "wheel",
        }
    }
}

impl Lock {
    /// Reads the lock of a recipe's folder for an architecture.
    ///
    /// # Errors
    /// No such file, or not a lock.
    pub fn load(folder: &Path, architecture: Architecture) -> Result<Self, BaseError> {
        let path = folder.join(file(architecture));
        let text = fs::read_to_string(&path).map_err(BaseError::io(&path))?;
        let runtime = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wrong = |reason| BaseError::Lock { path: path.clone(), reason, runtime: runtime.clone() };
        let mut lock: Self = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if let Some(bad) = lock.packages.iter().find(|locked| !locked.is_plausible()) {
            return Err(wrong(format!("{}: the sha256 or the path is malformed", bad.name)));
        }
        (lock.path, lock.text) = (path, text);
        Ok(lock)
    }

    /// Refuses a lock that was written for another list of packages.
    pub(crate) fn check_against(&self, recipe: &Recipe) -> Result<(), BaseError> {
        let stale =
            |reason| BaseError::Lock { path: self.path.clone(), reason, runtime: recipe.runtime.clone() };
        let locked = |name: &str| self.packages.iter().find(|locked| locked.name == name);
        if let Some(name) = recipe.package_names().find(|name| locked(name).is_none()) {
            return Err(stale(format!("{name} is in the recipe but not in the lock")));
        }
        if self.packages.len() != recipe.package_names().count() {
            return Err(stale("it names packages that are not in the recipe".into()));
        }
        let other = |(name, version): &(&str, &str)| locked(name).is_some_and(|l| l.version != *version);
        match recipe.exact_versions().find(other) {
            Some((name, _)) => Err(stale(format!("{name} is locked in another version"))),
            None => Ok(()),
        }
    }

    /// Writes the lock of a recipe's folder for an architecture.
    pub(crate) fn save(
        folder: &Path,
        architecture: Architecture,
        packages: &[Locked],
    ) -> Result<(), BaseError> {
        let mut text = "# Written by `zipship images update`; paths are relative to any mirror.\n".to_owned();
        for locked in packages {
            let Locked { name, version, archive, path, size, sha256 } = locked;
            let _ = write!(
                text,
                "\n[[package]]\nname = {name:?}\nversion = {version:?}\narchive = {:?}\npath = {path:?}\nsize = {size}\n\
                 sha256 = {sha256:?}\n",
                archive.name()
            );
        }
        let path = folder.join(file(architecture));
        fs::write(&path, text).map_err(BaseError::io(&path))
    }
}

/// Where a finished base keeps its lock, beside the layout's own files.
pub(super) const BESIDE_LAYOUT: &str = "lock.toml";

/// The archives of a finished base.
pub(super) fn of_layout(layout: &Path) -> Option<Vec<Locked>> {
    let text = fs::read_to_string(layout.join(BESIDE_LAYOUT)).ok()?;
    toml::from_str::<Lock>(&text).ok().map(|lock| lock.packages)
}

impl Locked {
    fn is_plausible(&self) -> bool {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let segment = |s: &str| !matches!(s, "" | "." | "..");
        self.sha256.len() == 64
            && self.sha256.bytes().all(hex)
            && self.path.split('/').all(segment)
            && !self.path.contains([':', '?', '#', '\\'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str) -> Locked {
        Locked {
            name: name.into(),
            version: "1".into(),
            archive: Archive::Deb,
            path: format!("pool/{name}.deb"),
            size: 7,
            sha256: "0".repeat(64),
        }
    }

    fn recipe(packages: &str) -> Recipe {
        toml::from_str(&format!("runtime = 'golang'\nsuite = 'bookworm'\ndebian = {packages}")).unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let packages = [locked("a"), Locked { archive: Archive::Npm, ..locked("b") }];
        let (amd64, arm64) = (Architecture::Amd64, Architecture::Arm64);
        Lock::save(folder.path(), amd64, &packages).unwrap();
        Lock::save(folder.path(), arm64, &packages[..1]).unwrap();
        assert_eq!(Lock::load(folder.path(), amd64).unwrap().packages, packages);
        assert_eq!(Lock::load(folder.path(), arm64).unwrap().packages, packages[..1]);
    }

    #[test]
    fn a_malformed_hash_or_path_is_refused() {
        for bad in [
            Locked { sha256: "F".repeat(64), ..locked("a") },
            Locked { sha256: "0".repeat(63), ..locked("a") },
            Locked { path: "pool/../../etc".into(), ..locked("a") },
            Locked { path: "http://somewhere/else".into(), ..locked("a") },
        ] {
            let folder = tempfile::tempdir().unwrap();
            Lock::save(folder.path(), Architecture::Amd64, &[bad]).unwrap();
            let error = Lock::load(folder.path(), Architecture::Amd64).unwrap_err().to_string();
            assert!(error.contains("a: the sha256 or the path is malformed"), "{error}");
        }
    }

    #[test]
    fn a_lock_for_other_packages_is_refused() {
        let lock =
            Lock { packages: vec![locked("a"), locked("b")], path: PathBuf::new(), text: String::new() };
        assert!(lock.check_against(&recipe("['a', 'b']")).is_ok());
        let missing = lock.check_against(&recipe("['a', 'b', 'c']")).unwrap_err().to_string();
        assert!(
            missing.contains("c is in the recipe") && missing.contains("images update golang"),
            "{missing}"
        );
        assert!(lock.check_against(&recipe("['a']")).is_err());
    }
}
