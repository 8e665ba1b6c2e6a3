//! What is run to compile a function's sources, and what is taken over of it. Whoever runs it brings a sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::path::Path;

use contract::environment::{ZIPSHIP_LANGUAGE, ZIPSHIP_WORKER};
use contract::runtime::Language;
use oci::config::ImageConfig;

use super::{Caches, PrecompileError, PrecompileJob, node, python};
use crate::Architecture;

/// The exit code by which a script says that its interpreter has no compiled caches.
const UNSUPPORTED: i32 = 42;

/// Folder of the sources in a room: apart from the script, beside which an interpreter looks for what it imports.
pub(super) const SOURCES: &str = "src";

/// Where a job's files lie, on this machine and in its sandbox.
pub struct Room<'a> {
    /// A folder of this machine; it gets the sources (below `src/`) and what else the interpreter reads.
    pub folder: &'a Path,
    /// The same as the sandbox sees it. It may be read-only there.
    pub inside: &'a str,
    /// A folder of the sandbox that can be written to.
    pub scratch: &'a str,
    /// Number of the descriptor that results are written to.
    pub results: u32,
    /// The image, unpacked by whoever may write in it, when its worker programs are to be compiled, too. Those of our
    /// own bases are.
    pub image: Option<&'a Path>,
}

/// What is to be run.
#[derive(Debug)]
pub struct Plan {
    /// The image's interpreter, which may have to be looked for on the image's PATH, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    language: Language,
    /// Paths of the sources in the order of their numbers; those of the image itself are absolute.
    sources: Vec<String>,
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

/// Writes a job's files into its room, and says what to run.
///
/// # Errors
/// [`PrecompileError`]: the image is for another machine or has no interpreter, a source does not decode, the room
/// can't be written to.
pub fn plan(job: &PrecompileJob<'_>, room: &Room<'_>) -> Result<Plan, PrecompileError> {
    let (config, interpreter) = runnable(job)?;
    fs::create_dir(room.folder.join(SOURCES))?;
    let script = match job.language {
        Language::Python => python::prepare(job, room)?,
        Language::Node => node::prepare(job, room)?,
        Language::Golang => {
            return Err(PrecompileError::Unsupported("a Go function is a program already".to_owned()));
        }
    };
    Ok(Plan {
        argv: std::iter::once(interpreter).chain(script.arguments).collect(),
        environment: environment(&config, script.environment),
        language: job.language,
        sources: script.sources,
    })
}

impl Plan {
    /// Takes over what was written to the results of a run that went well.
    ///
    /// # Errors
    /// [`PrecompileError`]: it is not what the script writes.
    pub fn collect(&self, results: &mut impl BufRead) -> Result<Caches, PrecompileError> {
        match self.language {
            Language::Python => python::collect(&self.sources, results),
            Language::Node | Language::Golang => node::collect(&self.sources, results),
        }
    }
}

/// A run that ended with a code other than 0, and what it said last.
#[must_use]
pub fn failure(code: i32, said: &str) -> PrecompileError {
    let last: Vec<&str> = said.trim().lines().rev().take(3).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("; ");
    match code {
        UNSUPPORTED => PrecompileError::Unsupported(last),
        _ if last.is_empty() => PrecompileError::Failed(format!("it ended with code {code}")),
        _ => PrecompileError::Failed(last),
    }
}

/// The image's configuration and its interpreter, when that can be run on this machine.
pub(super) fn runnable(job: &PrecompileJob<'_>) -> Result<(ImageConfig, String), PrecompileError> {
    let config = job.base.parsed_config().map_err(|error| PrecompileError::Failed(error.to_string()))?;
    runs_here(&config)?;
    let interpreter = interpreter(&config)?;
    Ok((config, interpreter))
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
fn environment(config: &ImageConfig, own: &[(&str, &str)]) -> BTreeMap<String, String> {
    let image = config.config.env.iter().filter_map(|entry| entry.split_once('='));
    let kept = image.filter(|(name, _)| !name.starts_with("LD_") && *name != ZIPSHIP_LANGUAGE);
    kept.chain(own.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
