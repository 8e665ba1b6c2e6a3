//! What is built: S is one file, M what npm installs for six well-known packages, L what pip installs for numpy and
//! pandas, each with a handler, zipped by Info-ZIP. Made once, with the versions of `bench/sets`, in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use zipship_tests::Place;

/// An archive and how it is built.
pub(super) struct Set {
    pub(super) runtime: &'static str,
    /// The base image that the runtime has.
    pub(super) base: &'static str,
    pub(super) zip: PathBuf,
    /// The same archive with another line in its handler.
    pub(super) changed: PathBuf,
}

/// What is installed beside the handler.
enum Installed {
    Nothing,
    ByNpm,
    ByPip,
}

impl Set {
    /// The set of a row's name: `build.M` is of M.
    ///
    /// # Errors
    /// When npm, pip or zip cannot make it; there is no other archive to measure with.
    pub(super) fn named(name: &str) -> anyhow::Result<Self> {
        let (runtime, base, handler, installed) = match name {
            "S" => ("node10", "node10", "handler.js", Installed::Nothing),
            "M" => ("node10", "node10", "handler.js", Installed::ByNpm),
            "L" => ("python311", "python311", "handler.py", Installed::ByPip),
            other => anyhow::bail!("there is no set {other}"),
        };
        let folder = Place::find()?.path("ZIPSHIP_SETS")?.join(name);
        let set =
            Self { runtime, base, zip: folder.join("function.zip"), changed: folder.join("changed.zip") };
        let stamp = stamp(name)?;
        if fs::read_to_string(folder.join("stamp")).ok().as_ref() != Some(&stamp) {
            eprintln!("making set {name} (once)");
            make(name, &folder, handler, &installed)?;
            fs::write(folder.join("stamp"), stamp)?;
        }
        Ok(set)
    }
}

/// A file or folder of `bench/sets`.
fn source(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sets")).join(name)
}

/// Of all that decides what is in it.
fn stamp(name: &str) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    for file in sources(name)? {
        hasher.update(fs::read(file)?);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The files of a set before anything is installed. M is S with packages.
fn sources(name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut sources = files(&source(name))?;
    if name == "M" {
        sources.extend(files(&source("S"))?);
    }
    Ok(sources)
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}

fn make(name: &str, folder: &Path, handler: &str, installed: &Installed) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let scratch = tempfile::Builder::new().prefix("zipship-set-").tempdir()?;
    let tree = scratch.path().join("function");
    fs::create_dir(&tree)?;
    for file in sources(name)? {
        let to = tree.join(file.file_name().context("a file has a name")?);
        fs::copy(&file, to)?;
    }
    match installed {
        Installed::Nothing => {}
        Installed::ByNpm => {
            run(Command::new("npm")
                .args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&tree))?;
        }
        Installed::ByPip => run(pip().current_dir(&tree))?,
    }
    let (zip, changed) = (scratch.path().join("function.zip"), scratch.path().join("changed.zip"));
    run(Command::new("zip").args(["-q", "-r", "-y", "-6"]).arg(&zip).arg(".").current_dir(&tree))?;
    fs::copy(&zip, &changed)?;
    let line = if handler.ends_with(".py") { "# changed\n" } else { "// changed\n" };
    let text = fs::read_to_string(tree.join(handler))?;
    fs::write(tree.join(handler), text + line)?;
    run(Command::new("zip").args(["-q", "-6"]).arg(&changed).arg(handler).current_dir(&tree))?;
    fs::copy(&zip, folder.join("function.zip"))?;
    fs::copy(&changed, folder.join("changed.zip"))?;
    Ok(())
}

/// As the API's document has it, for the python of the base and whatever python this machine has.
fn pip() -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"]);
    pip.args([
        "--implementation",
        "cp",
        "--platform",
        "manylinux2014_x86_64",
        "--platform",
        "manylinux_2_28_x86_64",
    ]);
    pip.args(["--target", "package", "-r", "requirements.txt"]);
    pip
}

/// Runs to a good end; else what it said is the error.
pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, said());
    Ok(())
}
