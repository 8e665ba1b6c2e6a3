//! The image: the base's configuration and layers, and the function's on top.

use contract::environment::SCW_HANDLER;
use oci::config::{History, ImageConfig};
use oci::manifest::{DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, Manifest};
use oci::{Image, ImageLayer};

use crate::layer::Made;
use crate::{BuildError, BuildRequest};

/// When everything of ours was made, for documents that want a time: the same for the same input.
const EPOCH: &str = "1970-01-01T00:00:00Z";
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// Repository of the embedded registry that has a base's layers, to be mounted from there.
#[must_use]
pub fn base_repository(base: &str) -> String {
    format!("base/{base}")
}

/// Puts the image together; the same parts give the same bytes.
///
/// # Errors
/// [`BuildError::Base`] when the base's documents cannot be read.
pub fn assemble(request: &BuildRequest<'_>, made: Vec<Made>) -> Result<Image, BuildError> {
    let base = request.base;
    let repository = base_repository(request.runtime.base());
    let damaged =
        |error: serde_json::Error| BuildError::Base { name: repository.clone(), reason: error.to_string() };
    let config = config(base.image.parsed_config().map_err(damaged)?, request, &made);
    let docker = base.image.media_type == DOCKER_MANIFEST;
    let mut layers: Vec<ImageLayer> = base
        .image
        .layers
        .iter()
        .map(|below| ImageLayer::mounted(below.layer.clone(), repository.clone()))
        .collect();
    layers.extend(made.into_iter().map(|made| {
        let mut layer = made.layer;
        if docker {
            layer.media_type = DOCKER_LAYER_GZIP.to_owned();
        }
        ImageLayer::new(std::sync::Arc::new(layer))
    }));
    let annotations =
        [(BASE_NAME.to_owned(), repository.clone()), (BASE_DIGEST.to_owned(), base.digest.to_string())]
            .into();
    let image = Image::assemble(config, layers, annotations);
    if docker { in_docker_types(image).map_err(damaged) } else { Ok(image) }
}

fn config(mut config: ImageConfig, request: &BuildRequest<'_>, made: &[Made]) -> ImageConfig {
    config.created = Some(EPOCH.to_owned());
    config.config.set_env(SCW_HANDLER, request.handler);
    config.config.labels.extend(request.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    config.history.extend(made.iter().map(|made| History {
        created: Some(EPOCH.to_owned()),
        created_by: Some(format!("zipship build: {}", made.part)),
        ..History::default()
    }));
    config
}

/// Docker's older documents have their own types, and no annotations: mixing the families breaks readers.
fn in_docker_types(mut image: Image) -> Result<Image, serde_json::Error> {
    let mut manifest: Manifest = image.parsed_manifest()?;
    manifest.media_type = Some(DOCKER_MANIFEST.to_owned());
    manifest.config.media_type = DOCKER_CONFIG.to_owned();
    manifest.annotations.clear();
    image.manifest = serde_json::to_vec(&manifest)?;
    image.media_type = DOCKER_MANIFEST.to_owned();
    Ok(image)
}
