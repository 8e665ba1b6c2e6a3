//! From a zip to an OCI image: a vetted archive becomes layers on top of a runtime's base image.
//!
//! [`build`] is the flow, one call a step: zip → tree → (Go: compile) → layers → image. Nothing here unpacks
//! an archive onto disk, asks a daemon, or needs a privilege; the same input always gives the same bytes.

mod architecture;
mod archive_file;
pub mod attest;
pub mod base;
mod describe;
mod error;
pub mod foreign;
pub mod golang;
mod handler;
pub mod image;
pub mod layer;
pub mod precompile;
pub mod split;
pub mod tree;
pub mod zip;

use std::collections::BTreeMap;

use contract::runtime::{Handler, Runtime};

pub use architecture::{Architecture, NoSuchArchitecture};
pub use archive_file::ArchiveFile;
pub use describe::Description;
pub use error::BuildError;

use base::Base;
use golang::Compile;
use layer::{LayerOptions, Made, Part};
use precompile::{Compiled, Precompile};
use tree::Tree;
use zip::ArchiveLimits;

/// What an image is made of.
#[derive(Clone, Copy)]
pub struct BuildRequest<'a> {
    /// The user's zip.
    pub archive: &'a [u8],
    /// The runtime; its language decides how the archive is read.
    pub runtime: Runtime,
    /// The handler as the API has it.
    pub handler: &'a str,
    /// The runtime's base image.
    pub base: &'a Base,
    /// How much the archive may be.
    pub limits: ArchiveLimits,
    /// Compiles Go; other languages need none.
    pub compile: Option<&'a dyn Compile>,
    /// Makes compiled caches; none are made without it.
    pub precompile: Option<&'a dyn Precompile>,
    /// Labels for the image's configuration.
    pub labels: &'a BTreeMap<String, String>,
    /// What else the image says of itself.
    pub description: Description<'a>,
    /// How layers are made.
    pub layers: LayerOptions<'a>,
}

/// An image and how it came to be.
#[derive(Debug, Clone)]
pub struct Built {
    /// The image, ready to be pushed.
    pub image: oci::Image,
    /// For people.
    pub report: BuildReport,
}

/// What a build did, for people.
#[derive(Debug, Clone, Default)]
pub struct BuildReport {
    /// Entries of the archive that were used.
    pub entries: usize,
    /// Names that were left out as litter of the tool that made the archive.
    pub dropped: Vec<String>,
    /// Things that look like mistakes; sentences.
    pub warnings: Vec<String>,
    /// The layers on top of the base, lowest first.
    pub layers: Vec<LayerReport>,
}

/// One layer of a build.
#[derive(Debug, Clone)]
pub struct LayerReport {
    /// What is in it.
    pub part: Part,
    /// Bytes as pushed.
    pub bytes: u64,
    /// Bytes of the tar.
    pub tar_bytes: u64,
    /// Bytes that had to be compressed; the others were taken over as the archive has them.
    pub compressed_bytes: u64,
    /// It was made before, of the same files, and kept.
    pub kept: bool,
}

/// Makes an image from an archive. Works on all cores and blocks until done.
///
/// # Errors
/// [`BuildError`], whose `Display` is what the function's owner should read.
pub fn build(request: &BuildRequest<'_>) -> Result<Built, BuildError> {
    let language = request.runtime.language();
    let handler = Handler::parse(language, request.handler)?;
    let archive = zip::vet(request.archive, &request.limits)?;
    let tree = Tree::of(&archive);
    let mut compiled = Compiled::default();
    let mut labels = request.labels.clone();
    let layers = match &handler {
        Handler::Package { path } => {
            let mut job = golang::plan(&tree, path)?;
            job.environment.insert("GOARCH".to_owned(), request.base.architecture.name().to_owned());
            let binary = request.compile.ok_or(BuildError::NoCompiler)?.compile(&job)?;
            if let Some(version) = golang::version(&binary) {
                labels.insert(golang::VERSION_LABEL.to_owned(), version.to_owned());
            }
            vec![layer::make(
                Part::Program,
                &Tree::of_program(golang::PROGRAM, &binary),
                request.limits.decode_time,
                &request.layers,
            )?]
        }
        Handler::Export { .. } | Handler::File { .. } => {
            handler::require(&tree, language, &handler)?;
            let mut layers = interpreted(&tree, request)?;
            compiled = precompile::make(&tree, request)?;
            layers.append(&mut compiled.layers);
            layers
        }
    };
    let report = BuildReport {
        entries: archive.entries.len(),
        dropped: archive.dropped,
        warnings: archive.warnings.into_iter().chain(compiled.warnings).collect(),
        layers: layers.iter().map(Made::report).collect(),
    };
    let image = image::assemble(&BuildRequest { labels: &labels, ..*request }, layers, compiled.variable)?;
    Ok(Built { image, report })
}

/// The layers of a language that runs from source: dependencies below, code above; empty ones left out.
fn interpreted(tree: &Tree<'_>, request: &BuildRequest<'_>) -> Result<Vec<Made>, BuildError> {
    let split = split::split(tree, request.runtime.language());
    [(Part::Dependencies, &split.dependencies), (Part::Code, &split.code)]
        .into_iter()
        .filter(|(_, tree)| !tree.is_empty())
        .map(|(part, tree)| Ok(layer::make(part, tree, request.limits.decode_time, &request.layers)?))
        .collect()
}
