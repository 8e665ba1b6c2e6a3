//! Switching: one pointer store, then the proof that callers reach the new code through the path they use.

use std::time::Duration;

use contract::event::{X_ZIPSHIP_IMAGE, X_ZIPSHIP_PROBE, X_ZIPSHIP_REVISION};
use reqwest::StatusCode;

use super::{Platform, image, job, job::Failure};
use crate::effect::effect;
use crate::store::{
    Revision,
    deploys::{Deploy, Program},
};

const PROBE_LIMIT: Duration = Duration::from_secs(10);
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// Makes the revision live, proves it, and writes `ready`.
pub(super) async fn switch(
    platform: &Platform,
    deploy: &Deploy,
    revision: Option<Revision>,
) -> Result<(), Failure> {
    let revision = revision.ok_or_else(|| Failure::because("the revision was not verified"))?;
    // Before anybody is served by it: what may still fail must not fail afterwards. A container's `latest` is its
    // owner's, who may have pushed another meanwhile.
    if let Program::Code(_) = deploy.config.program {
        image::tag(platform, deploy, "latest").await?;
    }
    platform.gateway.expect_probe(&deploy.application_id, &deploy.nonce);
    effect("route.switch", async { platform.gateway.switch(&revision.id) })
        .await
        .map_err(Failure::because)?;
    let proved = prove(platform, deploy, &revision).await;
    platform.gateway.forget_probe(&deploy.application_id, &deploy.nonce);
    let written = match proved {
        Ok(()) => platform.store.deploy_ready(deploy).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    match written {
        Ok(()) => apply_scale(platform, deploy).await,
        Err(failure) => {
            back_to_live(platform, deploy).await;
            Err(failure)
        }
    }
}

/// The scale may have been changed since the deploy was asked for.
async fn apply_scale(platform: &Platform, deploy: &Deploy) -> Result<(), Failure> {
    if let Some(revision) = platform.store.live_revision(&deploy.application_id).await? {
        platform.gateway.rescale(job::routed(&revision));
    }
    Ok(())
}

async fn prove(platform: &Platform, deploy: &Deploy, revision: &Revision) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + PROBE_LIMIT;
    loop {
        let answer = effect("route.probe", probe(platform, deploy, revision)).await;
        match answer {
            Ok(()) => return Ok(()),
            Err(reason) if tokio::time::Instant::now() >= deadline => {
                let text = format!("the new version did not answer through its endpoint: {reason}");
                return Err(Failure::Cause(text));
            }
            Err(_) => tokio::time::sleep(PROBE_PAUSE).await,
        }
    }
}

/// One request through the public listener; the gateway signs with the revision and image that answered.
async fn probe(platform: &Platform, deploy: &Deploy, revision: &Revision) -> Result<(), String> {
    let url = format!("{}/f/{}/", platform.public_path, deploy.application_id);
    let request = platform.http.get(url).header(X_ZIPSHIP_PROBE, &deploy.nonce).timeout(PROBE_LIMIT);
    let response = request.send().await.map_err(|error| error.to_string())?;
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    if response.status() != StatusCode::NO_CONTENT {
        return Err(format!("status {}", response.status()));
    }
    if header(X_ZIPSHIP_REVISION) != revision.id || header(X_ZIPSHIP_IMAGE) != revision.image_digest {
        return Err(format!("revision {} answered", header(X_ZIPSHIP_REVISION)));
    }
    Ok(())
}

/// The switch did not work out: callers go back to what the store says is live, or to nothing.
async fn back_to_live(platform: &Platform, deploy: &Deploy) {
    match platform.store.live_revision(&deploy.application_id).await {
        Ok(Some(revision)) => platform.gateway.restore(job::routed(&revision)),
        Ok(None) => platform.gateway.remove(&deploy.application_id).await,
        Err(error) => {
            tracing::error!(deploy.id = %deploy.id, %error, "the old version could not be put back")
        }
    }
}
