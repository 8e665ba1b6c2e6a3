//! Compiled caches on this machine: the image is unpacked into a temporary folder, which is the root of a sandbox
//! without network and without privileges.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::environment::{ZIPSHIP_LANGUAGE, ZIPSHIP_WORKER};
use contract::runtime::Language;
use oci::config::ImageConfig;

use super::sandbox::{self, Run};
use super::{Caches, Precompile, PrecompileError, PrecompileJob, node, python, root};
use crate::Architecture;

/// Where sources, script and results are in the sandbox: a name that no image has.
const FOLDER: &str = ".zipship-precompile";

/// Compiles in a sandbox that needs no root: user namespaces, through `unshare` of util-linux.
#[derive(Debug, Clone)]
pub struct LocalPrecompile {
    /// How long the interpreter may take.
    pub timeout: Duration,
}

/// A folder that the sandbox sees as `/.zipship-precompile`.
pub(super) struct Room {
    _all: tempfile::TempDir,
    root: PathBuf,
}

impl Precompile for LocalPrecompile {
    fn precompile(&self, job: &PrecompileJob<'_>) -> Result<Caches, PrecompileError> {
        let config = job.base.parsed_config().map_err(|error| PrecompileError::Failed(error.to_string()))?;
        runs_here(&config)?;
        let interpreter = interpreter(&config)?;
        sandbox::probe()?;
        let room = Room::of(job)?;
        let script = match job.language {
            Language::Python => python::prepare(job, &room)?,
            Language::Node => node::prepare(job, &room)?,
            Language::Golang => {
                return Err(PrecompileError::Unsupported("a Go function is a program already".to_owned()));
            }
        };
        let run = Run {
            root: &room.root,
            argv: std::iter::once(interpreter).chain(script.arguments).collect(),
            environment: environment(&config, script.environment),
            timeout: self.timeout,
        };
        let said = sandbox::run(&run)?;
        match job.language {
            Language::Python => python::collect(&script.sources, &said, &room),
            _ => node::collect(&said, &room),
        }
    }
}

/// What a language wants to be run.
pub(super) struct Script {
    /// Behind the interpreter.
    pub(super) arguments: Vec<String>,
    /// Besides the image's own environment.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Paths of the sources, in the order of the list.
    pub(super) sources: Vec<String>,
}

impl Room {
    fn of(job: &PrecompileJob<'_>) -> Result<Self, PrecompileError> {
        let all = tempfile::Builder::new().prefix("zipship-precompile-").tempdir()?;
        let root = all.path().join("root");
        fs::create_dir(&root)?;
        root::unpack(job.base, &root)?;
        let folder = root.join(FOLDER);
        fs::create_dir(&folder)?;
        for name in ["src", "out"] {
            fs::create_dir(folder.join(name))?;
        }
        Ok(Self { _all: all, root })
    }

    /// A file of the folder on this machine.
    pub(super) fn outside(&self, name: &str) -> PathBuf {
        self.root.join(FOLDER).join(name)
    }

    /// The same as the sandbox sees it.
    pub(super) fn inside(name: &str) -> String {
        format!("/{FOLDER}/{name}")
    }

    /// A folder of the image itself, when it is one.
    pub(super) fn of_image(&self, path: &str) -> Option<PathBuf> {
        let path = self.root.join(path.trim_start_matches('/'));
        let real = fs::canonicalize(&path).ok()?;
        // Not through a link that leads out of the image.
        (real == fs::canonicalize(&self.root).ok()?.join(path.strip_prefix(&self.root).ok()?)).then_some(path)
    }
}

/// The interpreter cannot be run for another machine.
fn runs_here(config: &ImageConfig) -> Result<(), PrecompileError> {
    let host = Architecture::HOST.name();
    match config.architecture == host {
        true => Ok(()),
        false => Err(PrecompileError::Unsupported(format!(
            "it is for {}, and this machine is {host}; build it on such a machine",
            config.architecture
        ))),
    }
}

/// The first word of the worker's command line.
fn interpreter(config: &ImageConfig) -> Result<String, PrecompileError> {
    let words = config.config.env_value(ZIPSHIP_WORKER).unwrap_or("[]");
    let words: Vec<String> = serde_json::from_str(words).unwrap_or_default();
    let missing = || PrecompileError::Unsupported(format!("its {ZIPSHIP_WORKER} names no interpreter"));
    words.into_iter().next().ok_or_else(missing)
}

/// The image's environment and the script's. What the loader of this machine's own programs would read stays out.
fn environment(config: &ImageConfig, own: &[(&str, &str)]) -> Vec<(String, String)> {
    let image = config.config.env.iter().filter_map(|entry| entry.split_once('='));
    let kept = image.filter(|(name, _)| !name.starts_with("LD_") && *name != ZIPSHIP_LANGUAGE);
    kept.chain(own.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Reads a result. Only a plain file counts: the sandbox could have put anything there.
pub(super) fn result(path: &Path) -> std::io::Result<Vec<u8>> {
    match fs::symlink_metadata(path)?.is_file() {
        true => fs::read(path),
        false => Err(std::io::Error::other(format!("{} is no file", path.display()))),
    }
}
