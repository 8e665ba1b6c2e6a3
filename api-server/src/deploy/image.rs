//! The image's steps: the archive is read, becomes an image, goes to the registry.

use std::{collections::BTreeMap, sync::Arc};

use builder::layer::LayerOptions;
use builder::precompile::Precompile;
use builder::{ArchiveFile, BuildRequest, Built};
use contract::runtime::Runtime;
use oci::digest::Hasher;
use oci::image::Image;
use oci::{Digest, Reference};

use super::{Platform, compile::SandboxCompile, job::Failure, news, precompile::SandboxPrecompile};
use crate::archives::ArchiveError;
use crate::effect::effect;
use crate::store::{Code, deploys::Deploy};

/// Reads the archive as it was when the deploy was asked for, and checks that it still is.
pub(super) async fn fetch(platform: &Platform, deploy: &Deploy) -> Result<ArchiveFile, Failure> {
    let archive = deploy.archive.as_ref().ok_or_else(|| Failure::because("the deploy has no archive"))?;
    let unreadable =
        |error: ArchiveError| Failure::because(format!("the uploaded archive can't be read: {error}"));
    let local = platform.archives.local(archive, &platform.builds).await.map_err(unreadable)?;
    let where_it_is = if platform.archives.disk().is_some() { "on disk" } else { "in the bucket" };
    let expected = archive.digest.clone();
    blocking(move || {
        let mut hasher = Hasher::new();
        let archive = ArchiveFile::seen_by(local.path(), &mut |piece| hasher.update(piece))
            .map_err(|error| unreadable(error.into()))?;
        let found = hasher.finish();
        if found.as_str() != expected && found.hex() != expected {
            return Err(Failure::because(format!(
                "the uploaded archive was damaged {where_it_is}; upload it again"
            )));
        }
        Ok(archive)
    })
    .await
}

/// Makes the image; the error is the builder's own sentence.
pub(super) async fn build(
    platform: &Platform,
    deploy: &Deploy,
    code: &Code,
    archive: ArchiveFile,
) -> Result<Built, Failure> {
    let runtime = Runtime::from_name(&code.runtime)
        .ok_or_else(|| Failure::because(format!("the runtime {} is not known", code.runtime)))?;
    let base = platform.bases.get(runtime.base()).map(Arc::clone).ok_or_else(|| {
        Failure::because(format!(
            "this server has no base image for {runtime}; its operator makes one with: zipship images build {runtime}, \
             and starts the server again"
        ))
    })?;
    // Never closed.
    let _place = platform.building.acquire().await.map_err(Failure::because)?;
    let compile = SandboxCompile::new(platform, deploy);
    let precompile = SandboxPrecompile::new(platform, deploy, runtime, &base);
    let (handler, limits) = (code.handler.clone(), platform.archive_limits);
    let digest = deploy.archive.iter().map(|archive| ("zipship.archive.digest", &archive.digest));
    let labels: BTreeMap<_, _> = [("zipship.function.id", &deploy.application_id)]
        .into_iter()
        .chain(digest)
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let cache = Arc::clone(&platform.layers);
    let built = blocking(move || {
        builder::build(&BuildRequest {
            archive: &archive,
            runtime,
            handler: &handler,
            base: &base,
            limits,
            compile: Some(&compile),
            precompile: precompile.as_ref().map(|one| one as &dyn Precompile),
            labels: &labels,
            description: builder::Description::default(),
            layers: LayerOptions { cache: Some(&cache), ..LayerOptions::default() },
        })
        .map_err(Failure::because)
    })
    .await?;
    for warning in &built.report.warnings {
        tracing::warn!(deploy.id = %deploy.id, application.id = %deploy.application_id, "{warning}");
        news::said(platform, deploy, &format!("warning: {warning}"));
    }
    Ok(built)
}

/// Pushes the image by its digest, over the one of tag `previous`; tags come when the revision has a version. Answers
/// the digest.
pub(super) async fn push(
    platform: &Platform,
    deploy: &Deploy,
    image: &Image,
    previous: Option<&str>,
) -> Result<String, Failure> {
    let reference = reference(platform, deploy).with_digest(image.digest());
    let pushed = effect("image.push", platform.registry.push_over(image, &reference, previous))
        .await
        .map_err(|error| Failure::because(format!("the image could not be pushed: {error}")))?;
    tracing::info!(
        deploy.id = %deploy.id, build.digest = %pushed.digest, requests = pushed.requests,
        uploaded_bytes = pushed.uploaded_bytes, mounted = pushed.mounted, "image pushed"
    );
    Ok(pushed.digest.to_string())
}

/// Gives the pushed image a tag.
pub(super) async fn tag(platform: &Platform, deploy: &Deploy, tag: &str) -> Result<(), Failure> {
    let digest = pushed_digest(deploy)?;
    let reference = reference(platform, deploy).with_digest(digest);
    effect("image.tag", platform.registry.tag(&reference, tag))
        .await
        .map(|_| ())
        .map_err(|error| Failure::because(format!("the image could not be tagged {tag}: {error}")))
}

/// Digest of the image as the journal has it.
pub(super) fn pushed_digest(deploy: &Deploy) -> Result<Digest, Failure> {
    let digest =
        deploy.image_digest.as_deref().ok_or_else(|| Failure::because("the image was not pushed"))?;
    Digest::parse(digest).map_err(|error| Failure::because(format!("the journal's image digest: {error}")))
}

/// The application's repository.
pub(super) fn reference(platform: &Platform, deploy: &Deploy) -> Reference {
    Reference {
        registry: platform.registry_host.clone(),
        repository: deploy.repository.clone(),
        tag: None,
        digest: None,
    }
}

/// Runs CPU-bound or blocking work away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::because(format!("the build stopped unexpectedly: {error}"))))
}
