//! Compiled caches: what an interpreter would make of the function's sources at every start, made once and put into a
//! layer of its own. Only the image's own interpreter can make them; who runs it, and in which sandbox, is behind
//! [`Precompile`]. Nothing of the function is run: its files are compiled, one by one.

mod layers;
mod local;
mod node;
mod plan;
mod python;
mod results;
mod root;
mod sandbox;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use contract::runtime::Language;
use oci::Image;

use crate::tree::Tree;
use crate::zip::{Data, Inflater, Kind, Refusal};

pub(crate) use layers::{Compiled, make};
pub use local::LocalPrecompile;
pub use plan::{Plan, Room, failure, plan};

/// What is compiled, and with which image.
pub struct PrecompileJob<'a> {
    /// The function's files.
    pub tree: &'a Tree<'a>,
    /// Their language.
    pub language: Language,
    /// The image that they will run on: its interpreter compiles.
    pub base: &'a Image,
    /// The time of the files in the image, in seconds since 1970: old Pythons compare it.
    pub mtime: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    /// Paths below the code directory, and bytes; in the order of the paths.
    pub files: Vec<(String, Vec<u8>)>,
    /// The same for the image's worker programs, where it has none: paths of the image without the leading slash.
    pub workers: Vec<(String, Vec<u8>)>,
    /// Sources of the user's own that do not compile; sentences.
    pub warnings: Vec<String>,
}

/// Runs the image's interpreter over a function's sources.
pub trait Precompile: Send + Sync {
    /// Compiles.
    ///
    /// # Errors
    /// [`PrecompileError`]
    fn precompile(&self, job: &PrecompileJob<'_>) -> Result<Caches, PrecompileError>;

    /// How a function's files are put before [`precompile`](Self::precompile).
    fn portions(&self) -> Portions {
        Portions::Whole
    }
}

/// How a function's files are compiled, and become layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portions {
    /// All at once, into one layer.
    Whole,
    /// Dependencies apart from code. The layer of dependencies is kept where layers are (`LayerOptions::cache`), so
    /// that they are compiled again only when they, or the base, have changed.
    Parts,
}

/// Why there are no compiled caches. `Display` is a user's sentence.
#[derive(Debug, thiserror::Error)]
pub enum PrecompileError {
    /// This machine cannot make the sandbox.
    #[error("compiled caches need a sandbox, and this machine makes none: {0}")]
    NoSandbox(String),
    /// This interpreter or language has no such thing.
    #[error("there are no compiled caches for this image: {0}")]
    Unsupported(String),
    /// The interpreter of the image failed.
    #[error("compiling with the image's interpreter failed: {0}")]
    Failed(String),
    /// It took too long.
    #[error("compiling with the image's interpreter took too long and was stopped")]
    TimedOut,
    /// The image cannot be unpacked.
    #[error("the image's layer {digest} cannot be unpacked: {reason}")]
    Layer {
        /// Which one.
        digest: oci::Digest,
        /// Why.
        reason: String,
    },
    /// A file of the archive does not decode.
    #[error(transparent)]
    Archive(#[from] Refusal),
    /// A temporary file.
    #[error("a temporary file: {0}")]
    Io(#[from] io::Error),
}

impl PrecompileJob<'_> {
    /// Bytes of the sources that the language's interpreter can compile.
    #[must_use]
    pub fn source_bytes(&self) -> u64 {
        let bytes = |(path, kind): (&str, &Kind<'_>)| match kind {
            Kind::File { data, .. } if is_source(self.language, path) => data.size,
            _ => 0,
        };
        self.tree.iter().map(bytes).sum()
    }

    /// Writes the files that `wanted` names, with their time in the image, below a folder that is there and empty;
    /// answers their paths in order.
    fn lay_out(&self, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, PrecompileError> {
        let mut inflater = Inflater::new();
        let mut written = Vec::new();
        for (path, kind) in self.tree.iter() {
            let Kind::File { data, .. } = kind else { continue };
            // A line break would end the path in the interpreter's list.
            if !wanted(path) || path.contains(['\n', '\r']) {
                continue;
            }
            let to = folder.join(path);
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            let mut file = fs::File::create_new(&to)?;
            file.write_all(&data.read(path, &mut inflater)?)?;
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(self.mtime))?;
            written.push(path.to_owned());
        }
        Ok(written)
    }
}

impl Caches {
    /// As the files of a layer.
    pub(crate) fn tree(&self) -> Tree<'_> {
        let mut tree = Tree::default();
        for (path, bytes) in &self.files {
            tree.insert(path, Kind::File { executable: false, data: Data::plain(bytes) });
        }
        tree
    }
}

/// The environment variable that an interpreter finds its caches by, where it does not look beside the sources.
fn variable(language: Language) -> Option<(String, String)> {
    match language {
        Language::Node => Some(node::variable()),
        Language::Python | Language::Golang => None,
    }
}

fn is_source(language: Language, path: &str) -> bool {
    match language {
        Language::Python => python::is_source(path),
        Language::Node => node::is_source(path),
        Language::Golang => false,
    }
}

/// Whether a source is the user's own and not an installed package's.
fn is_own(path: &str) -> bool {
    !path.split('/').any(|part| matches!(part, "node_modules" | "package" | "vendor" | "site-packages"))
}
