//! The image: the base's configuration and layers, and the function's on top.

use std::collections::BTreeMap;

use contract::environment::SCW_HANDLER;
use oci::config::{History, ImageConfig};
use oci::manifest::Family;
use oci::{Image, ImageLayer};

use crate::layer::Made;
use crate::{BuildError, BuildRequest, describe};

/// Repository of the embedded registry that has a base's layers, to be mounted from there.
#[must_use]
pub fn base_repository(base: &str) -> String {
    format!("base/{base}")
}

/// Puts the image together; the same parts give the same bytes. `variable` is one more for the environment.
///
/// # Errors
/// [`BuildError::Base`] when the base's documents cannot be read.
pub(crate) fn assemble(
    request: &BuildRequest<'_>,
    made: Vec<Made>,
    variable: Option<(String, String)>,
) -> Result<Image, BuildError> {
    let base = request.base;
    let damaged = |error: serde_json::Error| BuildError::Base {
        name: base_repository(request.runtime.base()),
        reason: error.to_string(),
    };
    let mut config = config(base.image.parsed_config().map_err(damaged)?, request, &made);
    if let Some((name, value)) = variable {
        config.config.set_env(&name, &value);
    }
    let mut layers = below(request);
    layers.extend(made.into_iter().map(|made| ImageLayer::new(made.layer)));
    let family = describe::family(request, &layers);
    let annotations = match family {
        Family::Oci => describe::annotations(request, &config),
        Family::Docker => BTreeMap::new(),
    };
    Ok(Image::assemble_as(family, config, layers, annotations))
}

/// The base's layers. A user's own say themselves where they may be linked from.
fn below(request: &BuildRequest<'_>) -> Vec<ImageLayer> {
    let layers = &request.base.image.layers;
    if request.description.origin.is_some() {
        return layers.clone();
    }
    let repository = base_repository(request.runtime.base());
    layers.iter().map(|below| ImageLayer::mounted(below.layer.clone(), repository.clone())).collect()
}

fn config(mut config: ImageConfig, request: &BuildRequest<'_>, made: &[Made]) -> ImageConfig {
    // When everything of ours was made: the same for the same input.
    let created = created(request.layers.mtime);
    config.created = Some(created.clone());
    config.config.set_env(SCW_HANDLER, request.handler);
    if request.description.origin.is_some() {
        config.config.labels.extend(describe::base(request));
    }
    config.config.labels.extend(request.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    config.history.extend(made.iter().map(|made| History {
        created: Some(created.clone()),
        created_by: Some(format!("zipship build: {}", made.part)),
        ..History::default()
    }));
    config
}

/// Seconds since 1970 as documents have it.
fn created(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.unwrap_or(jiff::Timestamp::MAX).to_string()
}
