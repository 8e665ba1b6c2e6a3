//! What a deploy makes its image of: a function's archive is built, a container's image is there already. The three
//! steps before an image is kept, for both.

use builder::{ArchiveFile, Built};
use oci::image::Image;

use super::{Platform, container, image, job::Failure};
use crate::store::deploys::{Deploy, Program};

/// What a deploy has in its hands between two steps.
pub(super) enum Source {
    /// The archive, read.
    Archive(ArchiveFile),
    /// The image that was made of it.
    Built(Built),
    /// A container's image, found.
    Image(Image),
}

/// Reads the archive, or looks up the container's image.
pub(super) async fn fetch(platform: &Platform, deploy: &Deploy) -> Result<Source, Failure> {
    match &deploy.config.program {
        Program::Code(_) => image::fetch(platform, deploy).await.map(Source::Archive),
        Program::Image { image } => container::find(platform, deploy, image).await.map(Source::Image),
    }
}

/// Builds the function's image, or checks that the container's can be run.
pub(super) async fn build(
    platform: &Platform,
    deploy: &Deploy,
    fetched: Option<Source>,
) -> Result<Source, Failure> {
    match (&deploy.config.program, fetched) {
        (Program::Code(code), Some(Source::Archive(archive))) => {
            image::build(platform, deploy, code, archive).await.map(Source::Built)
        }
        (_, Some(Source::Image(image))) => {
            container::check(platform, &image).await?;
            Ok(Source::Image(image))
        }
        _ => Err(Failure::because("nothing was fetched")),
    }
}

/// Brings the image into its repository by its digest, where it stays. Answers the digest.
pub(super) async fn push(
    platform: &Platform,
    deploy: &Deploy,
    source: Option<Source>,
) -> Result<String, Failure> {
    match source {
        Some(Source::Built(built)) => image::push(platform, deploy, &built.image, Some("latest")).await,
        Some(Source::Image(found)) => image::push(platform, deploy, &found, None).await,
        Some(Source::Archive(_)) | None => Err(Failure::because("the image was not built")),
    }
}
