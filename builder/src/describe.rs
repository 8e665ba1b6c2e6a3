//! What an image says of itself: annotations, labels, and the family of its documents.

use std::collections::BTreeMap;

use oci::ImageLayer;
use oci::config::ImageConfig;
use oci::manifest::Family;

use crate::BuildRequest;
use crate::foreign::Origin;

const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// Digest of the index that the base's image was chosen from; the specification has no name for it.
const BASE_INDEX: &str = "zipship.base.index.digest";
const CREATED: &str = "org.opencontainers.image.created";
const TITLE: &str = "org.opencontainers.image.title";

/// What an image is to say besides what it always says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Description<'a> {
    /// For a user's own base: where it comes from.
    pub origin: Option<&'a Origin>,
    /// Annotations of the user's; they win over those that are always there.
    pub annotations: Option<&'a BTreeMap<String, String>>,
}

/// The base's name, and the digest of its manifest.
pub(crate) fn base(request: &BuildRequest<'_>) -> BTreeMap<String, String> {
    let (name, digest, index) = match request.description.origin {
        Some(origin) => (origin.name.clone(), &origin.digest, origin.index.as_ref()),
        None => (crate::image::base_repository(request.runtime.base()), &request.base.digest, None),
    };
    let index = index.map(|digest| (BASE_INDEX.to_owned(), digest.to_string()));
    let always = [(BASE_NAME.to_owned(), name), (BASE_DIGEST.to_owned(), digest.to_string())];
    always.into_iter().chain(index).collect()
}

/// The annotations of the image's manifest. The same request always gives the same ones.
pub(crate) fn annotations(request: &BuildRequest<'_>, config: &ImageConfig) -> BTreeMap<String, String> {
    let mut annotations = base(request);
    annotations.insert(TITLE.to_owned(), format!("{} ({})", request.handler, request.runtime));
    annotations.extend(config.created.clone().map(|created| (CREATED.to_owned(), created)));
    annotations
        .extend(request.description.annotations.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
    annotations
}

/// The base's family, unless it has no room for what the image is to have: then the other one.
pub(crate) fn family(request: &BuildRequest<'_>, layers: &[ImageLayer]) -> Family {
    let fits = layers.iter().all(|layer| Family::Docker.layer(layer.layer.media_type()).is_some());
    let annotated = request.description.annotations.is_some_and(|wanted| !wanted.is_empty());
    match Family::of(&request.base.image.media_type) {
        Some(Family::Docker) if fits && !annotated => Family::Docker,
        _ => Family::Oci,
    }
}
