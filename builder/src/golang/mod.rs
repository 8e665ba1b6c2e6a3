//! Go functions are compiled when they are deployed. [`plan`] decides what the compiler is asked, from the
//! archive alone; who asks it, and in which sandbox, is behind [`Compile`].

mod local;
mod package;
mod plan;

use std::collections::BTreeMap;

pub use local::LocalCompile;
pub use plan::{PlanError, plan};

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
