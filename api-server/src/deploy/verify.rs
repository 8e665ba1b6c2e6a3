//! Verifying: the revision is written down, its image gets its version's tag, and one instance of it starts
//! beside the live one. An import error ends here.

use std::sync::OnceLock;

use super::{Platform, image, job, job::Failure};
use crate::effect::effect;
use crate::store::{Revision, deploys::Deploy};

/// Answers the revision, of which one instance is ready. `made` gets its id before anything of it starts, so that
/// whoever drops this half-way can discard it.
pub(super) async fn verify(
    platform: &Platform,
    deploy: &Deploy,
    made: &OnceLock<String>,
) -> Result<Revision, Failure> {
    let digest = image::pushed_digest(deploy)?;
    let revision = platform.store.create_revision(deploy, &deploy.repository, digest.as_str()).await?;
    let _ = made.set(revision.id.clone());
    image::tag(platform, deploy, &revision.version.to_string()).await?;
    effect("layers.unpack", platform.instances.unpack(&deploy.repository, digest.as_str()))
        .await
        .map_err(|failure| Failure::because(failure.message))?;
    effect("instance.start", platform.gateway.prepare(job::routed(&revision)))
        .await
        .map_err(|failure| Failure::because(failure.message))?;
    Ok(revision)
}
