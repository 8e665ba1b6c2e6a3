//! Verifying: the revision is written down, its image gets its version's tag, and one instance of it starts
//! beside the live one. An import error ends here.

use super::{Platform, effect::effect, image, job, job::Failure};
use crate::store::{Revision, deploys::Deploy};

/// Answers the revision, of which one instance is ready.
pub(super) async fn verify(platform: &Platform, deploy: &Deploy) -> Result<Revision, Failure> {
    let digest = image::pushed_digest(deploy)?;
    let revision = platform.store.create_revision(deploy, &deploy.repository, digest.as_str()).await?;
    image::tag(platform, deploy, &revision.version.to_string()).await?;
    effect("layers.unpack", platform.instances.unpack(&deploy.repository, digest.as_str()))
        .await
        .map_err(|failure| Failure::because(failure.message))?;
    effect("instance.start", platform.gateway.prepare(job::routed_arc(&revision)))
        .await
        .map_err(|failure| Failure::because(failure.message))?;
    Ok(revision)
}

/// After the end of a deploy: an instance that was prepared and does not serve is stopped.
pub(super) async fn forget_unless_live(platform: &Platform, deploy: &Deploy) {
    platform.gateway.forget_probe(&deploy.function_id, &deploy.nonce);
    // A failed deploy has no revision row any more; the gateway knows its prepared one by the function.
    let live = platform.store.live_revisions().await.unwrap_or_default();
    let live: Vec<&str> = live.iter().map(|revision| revision.id.as_str()).collect();
    for function in platform.gateway.snapshot().functions {
        if function.id != deploy.function_id {
            continue;
        }
        for instance in &function.instances {
            if !live.contains(&instance.revision_id.as_str()) {
                platform.gateway.discard(&instance.revision_id);
            }
        }
    }
}
