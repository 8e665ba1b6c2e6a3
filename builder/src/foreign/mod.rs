//! A user's own base image, made fit for functions: the shim and the workers become a layer on top of it, and its
//! configuration starts them. It needs only what they need: its `node` or `python3`, and for Go nothing.
//!
//! Nothing of it is run. What it has is looked up in its configuration, and in the lists of files of its layers where
//! those are on this machine.

pub(crate) mod files;
mod settings;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::runtime::Runtime;
use oci::manifest::Family;
use oci::{Digest, Image, ImageLayer};

use crate::Architecture;
use crate::base::{self, Base, BaseError};

pub use files::Files;

/// Where a user's base comes from, as the image made on it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name as it was given: `registry/repository:tag`, or the layout's.
    pub name: String,
    /// Digest of the image's own manifest.
    pub digest: Digest,
    /// Digest of the index that it was chosen from.
    pub index: Option<Digest>,
}

/// A user's base and what goes on it.
pub struct ForeignBase<'a> {
    /// The image for this architecture.
    pub image: &'a Image,
    /// Where it comes from.
    pub origin: &'a Origin,
    /// The machine that it is for.
    pub architecture: Architecture,
    /// The runtime that its functions are written for.
    pub runtime: Runtime,
    /// The shim's static executable for that machine.
    pub shim: &'a Path,
    /// Folder with one folder of worker programs per language.
    pub workers: &'a Path,
    /// Which interpreter starts the worker, by name or path; else the runtime's usual ones are looked for.
    pub interpreter: Option<&'a str>,
    /// What is in its layers, where that is known.
    pub files: Option<&'a Files>,
}

/// A base that functions can be built on, and what its owner should know.
#[derive(Debug, Clone)]
pub struct Dressed {
    /// The base.
    pub base: Base,
    /// Sentences.
    pub warnings: Vec<String>,
}

/// Why a user's image is no base for a runtime. `Display` is a user's sentence.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// Its configuration is not readable.
    #[error("its configuration cannot be read: {0}")]
    Config(serde_json::Error),
    /// Nothing there can run the handler.
    #[error(
        "it has no {} for {runtime} (looked in {path}); install it there, or name it with --interpreter or ENV \
         ZIPSHIP_WORKER",
        looked_for.join(" or ")
    )]
    NoInterpreter {
        /// The runtime.
        runtime: String,
        /// Names that would have done.
        looked_for: Vec<String>,
        /// The directories, as `PATH` has them.
        path: String,
    },
    /// `ZIPSHIP_WORKER` of the base is not what the shim takes.
    #[error("its ENV ZIPSHIP_WORKER must be a JSON array of a command line, and is: {0}")]
    Worker(String),
    /// A volume would hide the function's files.
    #[error("it declares the volume {0}, which would hide the function's files")]
    Volume(String),
    /// The shim or the workers cannot go into it.
    #[error(transparent)]
    Program(#[from] BaseError),
    /// A layer's list of files cannot be read.
    #[error("its layer {digest} cannot be read: {reason}")]
    Layer {
        /// Which one.
        digest: Digest,
        /// Why.
        reason: String,
    },
}

/// Puts the shim and the workers on a user's base. The same base and programs always give the same bytes.
///
/// # Errors
/// [`ForeignError`]
pub fn dress(request: &ForeignBase<'_>) -> Result<Dressed, ForeignError> {
    let language = request.runtime.language();
    let config = request.image.parsed_config().map_err(ForeignError::Config)?;
    let worker = worker::command(request, &config.config)?;
    let (config, warnings) = settings::merge(config, request.runtime, worker.as_deref())?;
    let program = base::program_layer(request.shim, request.workers, language, request.architecture)?;
    let mut layers = request.image.layers.clone();
    layers.push(ImageLayer::new(Arc::new(program)));
    let family = Family::of(&request.image.media_type).unwrap_or(Family::Oci);
    let image = Image::assemble_as(family, config, layers, BTreeMap::new());
    let base = Base {
        runtime: request.runtime.base().to_owned(),
        architecture: request.architecture,
        digest: request.origin.digest.clone(),
        image,
        // Its layers lie wherever each of them says.
        layout: PathBuf::new(),
    };
    Ok(Dressed { base, warnings })
}
