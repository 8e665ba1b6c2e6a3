//! Why a build failed, in the words its owner reads.

use contract::runtime::HandlerError;

use crate::golang::{CompileError, PlanError};
use crate::layer::LayerError;
use crate::precompile::PrecompileError;
use crate::zip::Refusal;

/// Why a build failed. `Display` is exactly what the function's owner should read.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The handler string makes no sense.
    #[error(transparent)]
    Handler(#[from] HandlerError),
    /// The archive is refused.
    #[error(transparent)]
    Archive(#[from] Refusal),
    /// The file that the handler names is not in the archive.
    #[error("handler file {} is not in the archive; {}", looked_for.join(" or "), candidates(has))]
    HandlerMissing {
        /// Paths that would have done.
        looked_for: Vec<String>,
        /// Files of the language that are there, the likeliest first.
        has: Vec<String>,
    },
    /// The archive's Go sources are not laid out so that they can be compiled.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The Go compiler said no, or could not be asked.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A Go function, and nobody to compile it.
    #[error("this installation has no Go compiler")]
    NoCompiler,
    /// There are no compiled caches.
    #[error(transparent)]
    Precompile(#[from] PrecompileError),
    /// A layer could not be written down.
    #[error(transparent)]
    Layer(LayerError),
    /// The base image's documents cannot be read.
    #[error("the base image {name} is damaged: {reason}")]
    Base {
        /// The base's repository name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl From<LayerError> for BuildError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Refused(refusal) => Self::Archive(refusal),
            LayerError::Scratch(_) => Self::Layer(error),
        }
    }
}

fn candidates(has: &[String]) -> String {
    match has {
        [] => "it has no file of that kind".to_owned(),
        has => format!("it has: {}", has.join(", ")),
    }
}
