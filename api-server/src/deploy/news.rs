//! What a deploy does, told in its application's log.

use super::Platform;
use crate::{
    logs::About,
    store::deploys::{Deploy, DeployState, Program},
};

/// It was claimed.
pub(super) fn begins(platform: &Platform, deploy: &Deploy) {
    let text = if deploy.attempt > 1 { "deploy: it is taken up again" } else { "deploy: it begins" };
    tell(platform, deploy, text);
}

/// A step begins.
pub(super) fn step(platform: &Platform, deploy: &Deploy) {
    let is_code = matches!(deploy.config.program, Program::Code(_));
    let text = match deploy.state {
        DeployState::Queued | DeployState::Ready | DeployState::Error => return,
        DeployState::Fetching if is_code => "deploy: fetching the archive",
        DeployState::Fetching => "deploy: looking the image up",
        DeployState::Building if is_code => "deploy: building the image",
        DeployState::Building => "deploy: checking the image",
        DeployState::Pushing => "deploy: pushing the image to its repository",
        DeployState::Verifying => "deploy: starting an instance of the new version",
        DeployState::Switching => "deploy: switching callers to the new version",
    };
    tell(platform, deploy, text);
}

/// What the builder or a program of the build has to say, as it is.
pub(super) fn said(platform: &Platform, deploy: &Deploy, words: &str) {
    tell(platform, deploy, words);
}

/// Its end, with the new version.
pub(super) fn ready(platform: &Platform, deploy: &Deploy, version: u64) {
    tell(platform, deploy, &format!("deploy: version {version} is ready"));
}

/// Its end, and what its owner has to mend.
pub(super) fn failed(platform: &Platform, deploy: &Deploy, cause: &str) {
    tell(platform, deploy, &format!("deploy: it failed: {cause}"));
}

/// Its end, since a newer one was asked for.
pub(super) fn superseded(platform: &Platform, deploy: &Deploy) {
    tell(platform, deploy, "deploy: a newer one takes over");
}

fn tell(platform: &Platform, deploy: &Deploy, text: &str) {
    platform.logs.event(&deploy.application_id, About::default(), text);
}
