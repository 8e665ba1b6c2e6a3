//! Documents about a built image: what is in it ([`sbom`]: SPDX 2.3) and how it was made ([`provenance`]: SLSA v1 as an
//! in-toto statement). Both are made from the archive, the base's lock and what the Go compiler wrote into its program;
//! nothing is asked of a network, and the same build gives the same bytes.

mod golang;
mod npm;
mod package;
mod provenance;
mod python;
mod spdx;

use contract::runtime::{Language, Runtime};
use oci::Image;
use oci::artifact::Artifact;

pub use golang::{GoProgram, Observed};
pub use package::{Ecosystem, Package, Presence};

use crate::base::Base;
use crate::foreign::Origin;
use crate::tree::Tree;
use crate::zip::{self, ArchiveLimits, Inflater, Refusal};

/// The type of a list of contents.
pub const SPDX: &str = "application/spdx+json";
/// The type of a statement about an image.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Descriptions of packages above this size are not read, in bytes.
const DESCRIPTION_MAX: u64 = 4 << 20;

/// What the documents are made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The function's zip.
    pub archive: &'a [u8],
    /// What the build allowed it.
    pub limits: &'a ArchiveLimits,
    /// The runtime.
    pub runtime: Runtime,
    /// The handler.
    pub handler: &'a str,
    /// What the image was built on.
    pub base: &'a Base,
    /// For a user's own base: where it comes from.
    pub origin: Option<&'a Origin>,
    /// What the Go compiler made.
    pub program: Option<&'a GoProgram>,
    /// Whether compiled caches were made.
    pub precompiled: bool,
    /// The image.
    pub image: &'a Image,
    /// When, in RFC 3339: the caller's word for it, since no clock is read. None: it is not said.
    pub created: Option<&'a str>,
}

impl Facts<'_> {
    /// The base's name as the image has it.
    fn base_name(&self) -> String {
        self.origin
            .map_or_else(|| crate::image::base_repository(self.runtime.base()), |origin| origin.name.clone())
    }
}

/// The image's list of contents.
///
/// # Errors
/// The archive is refused; the build has refused it before then.
pub fn sbom(facts: &Facts<'_>) -> Result<Artifact, Refusal> {
    let packages = packages(facts)?;
    let content = spdx::document(facts, &packages);
    let annotation = ("org.opencontainers.image.created".to_owned(), spdx::created(facts));
    Ok(Artifact { artifact_type: SPDX.to_owned(), content, annotations: [annotation].into() })
}

/// How the image was made.
#[must_use]
pub fn provenance(facts: &Facts<'_>) -> Artifact {
    let kind = ("in-toto.io/predicate-type".to_owned(), provenance::PREDICATE.to_owned());
    Artifact {
        artifact_type: IN_TOTO.to_owned(),
        content: provenance::statement(facts),
        annotations: [kind].into(),
    }
}

/// The packages in an image, each once, in a fixed order.
///
/// # Errors
/// As [`sbom`].
pub fn packages(facts: &Facts<'_>) -> Result<Vec<Package>, Refusal> {
    let archive = zip::vet(facts.archive, facts.limits)?;
    let tree = Tree::of(&archive);
    let mut packages = match facts.runtime.language() {
        Language::Node => npm::packages(&tree)?,
        Language::Python => python::packages(&tree)?,
        Language::Golang => facts.program.map(GoProgram::packages).unwrap_or_default(),
    };
    // A user's own base is known by its digest only.
    if facts.origin.is_none() {
        packages.extend(facts.base.packages().into_iter().flatten().map(package::of_base));
    }
    packages.sort();
    packages.dedup();
    Ok(packages)
}

/// The bytes of a description, unless it is no plain file of a size that such files have.
fn description(tree: &Tree<'_>, path: &str, inflater: &mut Inflater) -> Result<Option<Vec<u8>>, Refusal> {
    match tree.file(path) {
        Some((_, data)) if data.size <= DESCRIPTION_MAX => data.read(path, inflater).map(Some),
        _ => Ok(None),
    }
}
