//! Writing a lock: the newest versions, as the machine's own package managers resolve and verify them.
//!
//! Apt checks Debian's signatures over the package lists and npm the registry's integrity values; the lock then
//! carries that trust, and [`super::build`] needs neither program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oci::Digest;

use super::mirrors::stanzas;
use super::{Archive, BaseError, Lock, Locked, Mirrors, NpmPackage, Progress, PythonPackage, Recipe, fetch};
use crate::Architecture;

/// Debian's public keys, where its packages put them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What is to be updated.
pub struct UpdateRequest<'a> {
    /// Folder with `recipe.toml`; the lock is written there.
    pub recipe_dir: &'a Path,
    /// The machine whose lock it is.
    pub architecture: Architecture,
    /// Where archives that had to be downloaded are kept by their SHA-256.
    pub downloads: &'a Path,
    /// Debian's mirrors. npm uses its own configuration.
    pub mirrors: &'a Mirrors,
    /// Told about every step.
    pub progress: &'a (dyn Fn(Progress<'_>) + Sync),
}

/// One package whose version is another than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The package's name.
    pub name: String,
    /// The version before; none when the package is new.
    pub from: Option<String>,
    /// The version now.
    pub to: String,
}

/// Writes the lock of a recipe anew and tells what changed.
///
/// # Errors
/// apt or npm is missing or fails, no mirror is configured, or a package does not exist.
pub fn update(request: &UpdateRequest<'_>) -> Result<Vec<Change>, BaseError> {
    let recipe = Recipe::load(request.recipe_dir, request.architecture)?;
    let before = Lock::load(request.recipe_dir, request.architecture);
    let before = before.map(|lock| lock.packages).unwrap_or_default();
    let scratch = tempfile::tempdir().map_err(BaseError::io(&std::env::temp_dir()))?;
    (request.progress)(Progress::Step("asking apt"));
    let mut packages = debian(&recipe, request.mirrors, scratch.path())?;
    let known = |archive: Archive, name: &str, version: &str| {
        let same = |l: &&Locked| l.archive == archive && l.name == name && l.version == version;
        before.iter().find(same).cloned()
    };
    for package in &recipe.npm {
        packages.push(match known(Archive::Npm, &package.name, &package.version) {
            Some(known) => known,
            None => {
                (request.progress)(Progress::Step("asking npm"));
                npm(package, scratch.path(), request.downloads)?
            }
        });
    }
    for package in &recipe.python {
        packages.push(match known(Archive::Wheel, &package.name, &package.version) {
            Some(known) => known,
            None => {
                (request.progress)(Progress::Step("asking pip"));
                wheel(package, recipe.interpreter(), scratch.path(), request.downloads)?
            }
        });
    }
    Lock::save(request.recipe_dir, request.architecture, &packages)?;
    Ok(changes(&before, &packages))
}

fn changes(before: &[Locked], now: &[Locked]) -> Vec<Change> {
    let old = |name: &str| before.iter().find(|locked| locked.name == name);
    now.iter()
        .filter(|new| old(&new.name).is_none_or(|old| old.version != new.version))
        .map(|new| Change {
            name: new.name.clone(),
            from: old(&new.name).map(|old| old.version.clone()),
            to: new.version.clone(),
        })
        .collect()
}

/// Resolves the recipe's Debian packages with an apt that has its own state and sees only Debian.
fn debian(recipe: &Recipe, mirrors: &Mirrors, scratch: &Path) -> Result<Vec<Locked>, BaseError> {
    if recipe.debian.is_empty() {
        return Ok(Vec::new());
    }
    let mirrors = mirrors.debian();
    if mirrors.is_empty() {
        let file = format!("dists/{}", recipe.suite);
        return Err(BaseError::NoMirror { kind: "Debian", file, flag: "--debian-mirror" });
    }
    let signed = Path::new(KEYRING).exists();
    let sources = sources(&recipe.suite, recipe.architecture, mirrors, signed);
    let options = apt_options(scratch, recipe.architecture, &sources)?;
    run("apt-get", Command::new("apt-get").args(&options).args(["-qq", "--error-on=any", "update"]))?;
    let show = ["show", "--no-all-versions", "--"];
    let shown = run("apt-cache", Command::new("apt-cache").args(&options).args(show).args(&recipe.debian))?;
    let stanzas = stanzas(&shown);
    recipe.debian.iter().map(|name| locked(name, &stanzas)).collect()
}

/// Source lines for a suite: security archives have their own suite, all other mirrors the base and its updates.
fn sources(suite: &str, architecture: Architecture, mirrors: &[String], signed: bool) -> String {
    let key = if signed { format!(" signed-by={KEYRING}") } else { String::new() };
    let options = format!("[arch={architecture}{key}]");
    let mut lines = String::new();
    for mirror in mirrors {
        let suites: &[&str] = if mirror.trim_end_matches('/').ends_with("security") {
            &["-security"]
        } else {
            &["", "-updates"]
        };
        for suffix in suites {
            lines.push_str(&format!("deb {options} {mirror} {suite}{suffix} main\n"));
        }
    }
    lines
}

fn apt_options(scratch: &Path, architecture: Architecture, sources: &str) -> Result<Vec<String>, BaseError> {
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        let path = scratch.join(folder);
        fs::create_dir_all(&path).map_err(BaseError::io(&path))?;
    }
    let list = scratch.join("sources.list");
    fs::write(&list, sources).map_err(BaseError::io(&list))?;
    let at = |name: &str| scratch.join(name).display().to_string();
    let settings = [
        format!("Dir::State={}", at("state")),
        format!("Dir::Cache={}", at("cache")),
        format!("Dir::Etc::SourceList={}", list.display()),
        "Dir::Etc::SourceParts=/dev/null".into(),
        "Dir::State::status=/dev/null".into(),
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures={architecture}"),
        "APT::Sandbox::User=root".into(),
        "Acquire::Languages=none".into(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
    ];
    Ok(settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting]).collect())
}

fn locked(name: &str, stanzas: &[Vec<(String, String)>]) -> Result<Locked, BaseError> {
    let get = |stanza: &[(String, String)], field: &str| {
        stanza.iter().find(|(key, _)| key == field).map(|(_, value)| value.clone())
    };
    let found = || {
        let stanza = stanzas.iter().find(|stanza| get(stanza, "Package").as_deref() == Some(name))?;
        Some(Locked {
            name: name.to_owned(),
            version: get(stanza, "Version")?,
            archive: Archive::Deb,
            path: get(stanza, "Filename")?,
            size: get(stanza, "Size")?.parse().ok()?,
            sha256: get(stanza, "SHA256")?,
        })
    };
    found().ok_or_else(|| BaseError::PackageManager {
        program: "apt-cache",
        reason: format!("there is no package {name} in this suite"),
    })
}

/// Has npm download a package, which verifies it, and takes its hash.
fn npm(package: &NpmPackage, scratch: &Path, downloads: &Path) -> Result<Locked, BaseError> {
    let wanted = format!("{}@{}", package.name, package.version);
    let arguments = ["pack", "--silent", "--ignore-scripts", "--pack-destination"];
    let said =
        run("npm", Command::new("npm").args(arguments).arg(scratch).arg(&wanted).current_dir(scratch))?;
    let path: PathBuf = scratch.join(said.lines().last().unwrap_or_default());
    let bytes = fs::read(&path).map_err(BaseError::io(&path))?;
    let unscoped = package.name.rsplit('/').next().unwrap_or(&package.name);
    let locked = Locked {
        name: package.name.clone(),
        version: package.version.clone(),
        archive: Archive::Npm,
        path: format!("{}/-/{unscoped}-{}.tgz", package.name, package.version),
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes).hex().to_owned(),
    };
    fetch::keep(downloads, &locked, &bytes)?;
    Ok(locked)
}

/// Has pip download a pure wheel, which verifies it, and takes its hash.
fn wheel(
    package: &PythonPackage,
    interpreter: &str,
    scratch: &Path,
    downloads: &Path,
) -> Result<Locked, BaseError> {
    let folder = scratch.join(&package.name);
    let version = interpreter.rsplit_once("python").map_or("", |(_, version)| version);
    let pure = ["--only-binary=:all:", "--implementation=py", "--abi=none", "--platform=any"];
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]).args(pure);
    pip.arg(format!("--python-version={version}")).arg("--dest").arg(&folder);
    run("pip", pip.arg(format!("{}=={}", package.name, package.version)))?;
    let entry = fs::read_dir(&folder).map_err(BaseError::io(&folder))?.next();
    let path = entry.transpose().map_err(BaseError::io(&folder))?.map(|entry| entry.path());
    let path = path.ok_or_else(|| BaseError::PackageManager {
        program: "pip",
        reason: format!("it downloaded nothing for {}", package.name),
    })?;
    let bytes = fs::read(&path).map_err(BaseError::io(&path))?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let locked = Locked {
        name: package.name.clone(),
        version: package.version.clone(),
        archive: Archive::Wheel,
        path: format!("{}/{file}", package.name),
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes).hex().to_owned(),
    };
    fetch::keep(downloads, &locked, &bytes)?;
    Ok(locked)
}

/// What a program printed; its complaints when it failed.
fn run(program: &'static str, command: &mut Command) -> Result<String, BaseError> {
    let failed = |reason: String| BaseError::PackageManager { program, reason };
    let output = command.env("LC_ALL", "C").output().map_err(|e| failed(format!("does not start: {e}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_archives_have_their_own_suite() {
        let mirrors = ["http://m.test/debian".into(), "http://m.test/debian-security".into()];
        let lines = sources("bookworm", Architecture::Arm64, &mirrors, false);
        let expected = "deb [arch=arm64] http://m.test/debian bookworm main\n\
                        deb [arch=arm64] http://m.test/debian bookworm-updates main\n\
                        deb [arch=arm64] http://m.test/debian-security bookworm-security main\n";
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_package_is_locked_from_what_apt_shows() {
        let shown = stanzas(
            "Package: a\nVersion: 1\nFilename: pool/a.deb\nSize: 9\nSHA256: ff\nDescription: x\n more\n\nPackage: b\nVersion: 2\n",
        );
        let a = locked("a", &shown).unwrap();
        assert_eq!(
            (a.version.as_str(), a.path.as_str(), a.size, a.sha256.as_str()),
            ("1", "pool/a.deb", 9, "ff")
        );
        assert!(locked("b", &shown).unwrap_err().to_string().contains("no package b"));
    }

    #[test]
    fn only_other_versions_are_changes() {
        let package = |name: &str, version: &str| Locked {
            name: name.into(),
            version: version.into(),
            archive: Archive::Deb,
            path: String::new(),
            size: 0,
            sha256: String::new(),
        };
        let found = changes(
            &[package("a", "1"), package("b", "1")],
            &[package("a", "1"), package("b", "2"), package("c", "3")],
        );
        let expected = [("b", Some("1"), "2"), ("c", None, "3")].map(|(name, from, to)| Change {
            name: name.into(),
            from: from.map(Into::into),
            to: to.into(),
        });
        assert_eq!(found, expected);
    }
}
