//! A container's image of another registry: brought into the container's own repository here, so that what runs depends
//! on nobody else afterwards. Its name is a stranger's, and so is what that registry answers: the client goes only where
//! the guard lets it ([`oci::client::guard`]), shows nobody's credentials, and there are limits to what it takes.

use std::time::Duration;

use oci::{
    Reference,
    client::{ClientError, Guard, Options, Retry},
    image::Image,
    source::{Source, SourceError},
};
use reqwest::StatusCode;

use super::{Platform, container, image, job::Failure};
use crate::{effect::effect, store::deploys::Deploy};

/// What holds for images of other registries.
#[derive(Debug, Clone)]
pub struct ForeignImages {
    /// Where they may come from.
    pub guard: Guard,
    /// Layers of an image, at most.
    pub layers: usize,
    /// Bytes of an image as it is sent, at most.
    pub bytes: u64,
    /// How long it may take to come.
    pub time: Duration,
}

impl ForeignImages {
    /// The defaults, from where the guard allows.
    #[must_use]
    pub fn guarded_by(guard: Guard) -> Self {
        Self { guard, layers: 128, bytes: 4_000_000_000, time: Duration::from_secs(900) }
    }

    fn options(&self, registry: &str) -> Options {
        // A deploy waits: what does not answer by then is told.
        let retry = Retry {
            attempts: 3,
            longest: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            ..Retry::default()
        };
        let plain_http = self.guard.is_plain(registry);
        Options { plain_http, retry, guard: Some(self.guard.clone()), ..Options::default() }
    }

    /// Whether an image is within the limits, as it says itself; more than it says is never read.
    fn fits(&self, image: &Image) -> Result<(), String> {
        if image.layers.len() > self.layers {
            return Err(format!("it has {} layers, and {} are the most", image.layers.len(), self.layers));
        }
        let size = |bytes: u64, layer: &oci::ImageLayer| bytes.saturating_add(layer.layer.size());
        let bytes = image.layers.iter().fold(image.config.len() as u64, size);
        match bytes > self.bytes {
            true => Err(format!("it has {bytes} bytes, and {} are the most", self.bytes)),
            false => Ok(()),
        }
    }
}

/// Brings the image that a name stands for now into the container's repository. Answers where it is there, by digest.
pub(super) async fn bring(platform: &Platform, deploy: &Deploy, name: &str) -> Result<Reference, Failure> {
    let told = |reason: String| Failure::because(format!("the image {name} can't be pulled: {reason}"));
    let foreign = platform.foreign_images.as_ref();
    let foreign =
        foreign.ok_or_else(|| told("this server runs images of its own registry only".to_owned()))?;
    let named = Reference::as_docker_reads(name).map_err(|error| told(error.to_string()))?.where_it_is();
    let image = within(foreign.time, find(foreign, &named, &platform.registry_name)).await.map_err(told)?;
    container::runnable(&image)?;
    let to = image::reference(platform, deploy).with_digest(image.digest());
    let pushed = async {
        let pushed = platform.registry.push_over(&image, &to, None).await;
        pushed.map_err(|error| not_kept(&error))
    };
    let pushed = effect("image.pull", within(foreign.time, pushed)).await.map_err(told)?;
    tracing::info!(
        deploy.id = %deploy.id, image = name, build.digest = %pushed.digest, bytes = pushed.uploaded_bytes,
        "an image of another registry was brought"
    );
    Ok(to)
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = || format!("it has not come within {} s", limit.as_secs());
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

/// Looks the image up and reads its documents; `own` is the host of this server's registry.
async fn find(foreign: &ForeignImages, named: &Reference, own: &str) -> Result<Image, String> {
    let options = Box::new(foreign.options(&named.registry));
    let source = Source::Registry { options, reference: named.clone() };
    let told = |error: SourceError| refusal(&named.registry, &error, own);
    let found = source.find().await.map_err(told)?;
    let mut image = source.image(&found, builder::Architecture::HOST.name()).await.map_err(told)?;
    foreign.fits(&image)?;
    // A repository of that name may be here too, and somebody else's.
    image.layers.iter_mut().for_each(|layer| layer.mount_from = None);
    Ok(image)
}

/// Why there is no such image, as who deploys it can mend it.
fn refusal(registry: &str, error: &SourceError, own: &str) -> String {
    let SourceError::Client(error) = error else { return error.to_string() };
    match (error, error.status()) {
        (ClientError::Guarded { .. }, _) => format!(
            "{error}. An image of this server's own registry is named {own}/…. Others are asked on the internet by \
             https; the server's operator can allow more with --pull-from"
        ),
        (_, Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => format!(
            "it is private or does not exist, and only public images are pulled; {registry} said: {error}"
        ),
        (_, Some(StatusCode::NOT_FOUND)) => format!("it does not exist; {registry} said: {error}"),
        (_, Some(StatusCode::TOO_MANY_REQUESTS)) => {
            format!("{registry} answers no more requests for now: {error}")
        }
        _ => error.to_string(),
    }
}

/// Why what was found is not here now: the other registry breaks off, or this one has no room.
fn not_kept(error: &ClientError) -> String {
    match error {
        ClientError::Layer { .. } => error.to_string(),
        error => format!("this server's registry did not take it: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use oci::{Digest, ImageLayer, config::ImageConfig, layer::MemoryLayer};

    use super::*;

    fn image(layers: &[&'static [u8]]) -> Image {
        let layer = |bytes: &&'static [u8]| {
            ImageLayer::new(Arc::new(MemoryLayer::gzip(Bytes::from_static(bytes), Digest::of(bytes))))
        };
        Image::assemble(ImageConfig::default(), layers.iter().map(layer).collect(), Default::default())
    }

    #[test]
    fn an_image_that_is_too_large_is_told_by_how_much() {
        let limits =
            ForeignImages { layers: 2, bytes: 2000, ..ForeignImages::guarded_by(Guard::new(Vec::new())) };
        limits.fits(&image(&[b"a", b"b"])).unwrap();
        let refused = limits.fits(&image(&[b"a", b"b", b"c"])).unwrap_err();
        assert_eq!(refused, "it has 3 layers, and 2 are the most");
        let refused = limits.fits(&image(&[&[0; 1500], &[1; 1500]])).unwrap_err();
        assert!(refused.ends_with("bytes, and 2000 are the most"), "{refused}");
    }

    #[tokio::test]
    async fn what_the_guard_refuses_names_the_operators_flag() {
        let foreign = ForeignImages::guarded_by(Guard::new(Vec::new()));
        for name in [
            "127.0.0.1:443/a",
            "169.254.169.254:443/a",
            "quay.io:5000/a",
            "2130706433:443/a",
            "localhost:443/a",
        ] {
            let named = Reference::as_docker_reads(name).unwrap();
            let refused = find(&foreign, &named, "zip.example").await.map(drop).unwrap_err();
            assert!(refused.contains("--pull-from"), "{name}: {refused}");
            assert!(refused.contains("own registry is named zip.example/"), "{name}: {refused}");
        }
    }
}
