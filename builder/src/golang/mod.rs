//! Go functions are compiled when they are deployed. [`plan`] decides what the compiler is asked, from the
//! archive alone; who asks it, and in which sandbox, is behind [`Compile`]. Modules that are not vendored are fetched
//! before, in a step of its own ([`Download`], [`modules`]), so that the compiler needs no network.

mod gomod;
mod local;
pub mod modules;
mod package;
mod plan;
mod version;

use std::collections::BTreeMap;

pub use local::{LocalCompile, has_no_network};
pub use plan::{PlanError, plan};
pub(crate) use version::record;
pub use version::version;

/// Name of the compiled program below the code directory (the last part of `GO_HANDLER_PATH`).
pub const PROGRAM: &str = "handler";
/// Where the toolchain lies in the sandbox.
pub const TOOLCHAIN: &str = "/usr/local/go";
/// Where the sources are mounted in the sandbox, read-only; the paths of [`SourceFile`] are below it.
pub const SOURCES: &str = "/src";
/// `GOCACHE` in the sandbox, warm with the standard library.
pub const CACHE: &str = "/cache";
/// Where temporary files may be written in the sandbox.
pub const TEMPORARY: &str = "/tmp";
/// What the compiler writes.
pub const OUTPUT: &str = "/out/handler";
/// Where the fetched modules lie in the sandbox, as a module proxy has them; only when there is a [`Download`].
pub const MODULES: &str = "/src/modules";
/// Bytes of the largest program that is taken over.
pub const PROGRAM_BYTES: u64 = 256 << 20;
/// The label of an image with the version of the toolchain that compiled it, such as `1.26.6`.
pub const VERSION_LABEL: &str = "zipship.go.version";

/// One call of the Go compiler, in the sandbox's paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileJob {
    /// All files to lay out below [`SOURCES`].
    pub files: Vec<SourceFile>,
    /// Working directory.
    pub workdir: String,
    /// Command line; its first element is the go tool.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// Where the program is afterwards.
    pub output: String,
    /// What has to be done before: fetching modules, which are then laid out below [`MODULES`].
    pub download: Option<Download>,
}

/// One call of `go mod download`: the go tool says which modules it wants, a [`modules::Forwarder`] fetches them.
/// It sees no source, and what it leaves behind is thrown away: what the forwarder kept is what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Every go.mod and go.sum, to lay out below [`SOURCES`].
    pub files: Vec<SourceFile>,
    /// Working directory.
    pub workdir: String,
    /// Command line; its first element is the go tool.
    pub argv: Vec<String>,
    /// The whole environment but `GOPROXY`, which is the forwarder's address.
    pub environment: BTreeMap<String, String>,
    /// Path of the go.mod that asks for modules.
    pub gomod: String,
    /// The first module that it asks for.
    pub module: String,
}

impl Download {
    /// The error where there is no module proxy.
    #[must_use]
    pub fn unavailable(&self) -> CompileError {
        CompileError::NoModuleProxy { gomod: self.gomod.clone(), module: self.module.clone() }
    }

    /// The go tool's words when it failed, with the address of a forwarder taken out: it means nothing to anybody.
    #[must_use]
    pub fn rejected(words: &str, forwarder: &str) -> CompileError {
        let words = words
            .replace(&format!("{forwarder}/"), "the module proxy: ")
            .replace(forwarder, "the module proxy");
        CompileError::rejected(words.trim().to_owned())
    }
}

impl CompileError {
    /// The compiler's words when it failed, with what can be done where its own advice does not fit.
    #[must_use]
    pub fn rejected(words: String) -> Self {
        Self::Rejected(advised(words))
    }
}

/// Go's advice (`go get`, `go mod download`) is for a working copy; here the archive has to be made again.
fn advised(words: String) -> String {
    let advice = "run \"go mod tidy\" and add go.mod and go.sum to the archive";
    // It would write the missing lines itself, if sources could be written.
    if words.contains("updating go.sum") {
        return format!("go.sum lacks lines for what go.mod requires; {advice}");
    }
    let stale = ["missing go.sum entry", "updates to go.mod needed", "updates to go.sum needed"];
    if stale.iter().any(|sign| words.contains(sign)) { format!("{words}\n{advice}") } else { words }
}

/// A file for the compiler.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to [`SOURCES`].
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

/// Runs the Go compiler.
pub trait Compile: Send + Sync {
    /// Compiles; answers the program's bytes.
    ///
    /// # Errors
    /// [`CompileError`]
    fn compile(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError>;
}

/// Why there is no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The compiler's own lines.
    #[error("{0}")]
    Rejected(String),
    /// Modules are needed, and there is no module proxy to have them from.
    #[error(
        "{gomod} requires {module}, the archive has no vendor directory beside it, and no Go module proxy is configured \
         here; run \"go mod vendor\" and add vendor/ to the archive"
    )]
    NoModuleProxy {
        /// Path of go.mod.
        gomod: String,
        /// The first module that is required.
        module: String,
    },
    /// It took too long.
    #[error("compiling took too long and was stopped")]
    TimedOut,
    /// It needed too much memory.
    #[error("compiling needed more memory than it may have and was stopped")]
    OutOfMemory,
    /// It could not be started.
    #[error("the Go compiler could not be run: {0}")]
    Unavailable(String),
}
