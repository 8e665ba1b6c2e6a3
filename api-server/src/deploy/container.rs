//! A container's image: found in this server's registry, or brought there, and looked at before anything of it runs.

use std::{
    io::{self, BufReader, Read},
    sync::{Arc, PoisonError},
};

use oci::{
    Reference,
    client::ClientError,
    config::ContainerConfig,
    digest::Hasher,
    image::Image,
    layer::Layer,
    source::{Source, SourceError},
};
use runner::Compression;

use super::{Platform, elsewhere, image::blocking, job::Failure};
use crate::{image_name::ImageName, store::deploys::Deploy};

/// Bytes of a layer's tar, at most; the unpacker has the same limit.
const LAYER_BYTES: u64 = 8 << 30;
const BUFFER: usize = 64 << 10;

/// The image of a name as it is now, for this machine. From here on only its digest counts: a tag may move. One of
/// another registry is in this one then.
pub(super) async fn find(platform: &Platform, deploy: &Deploy, image: &str) -> Result<Image, Failure> {
    let reference = match ImageName::of(image) {
        ImageName::Own(image) => Reference::parse(&format!("{}/{image}", platform.registry_host))
            .map_err(|error| Failure::because(format!("the image {image}: {error}")))?,
        ImageName::Elsewhere(image) => elsewhere::bring(platform, deploy, image).await?,
    };
    let source = Source::Registry { options: Box::new(platform.registry_options.clone()), reference };
    let refused = |error: SourceError| match error {
        SourceError::Client(error) if is_missing(&error) => {
            Failure::because(format!("there is no image {image} in the registry: push it, then deploy again"))
        }
        error => Failure::because(format!("the image {image} can't be run: {error}")),
    };
    let found = source.find().await.map_err(refused)?;
    source.image(&found, builder::Architecture::HOST.name()).await.map_err(refused)
}

fn is_missing(error: &ClientError) -> bool {
    error.status().is_some_and(|status| status == reqwest::StatusCode::NOT_FOUND)
}

/// What must hold for an image to be run here.
pub(super) async fn check(platform: &Platform, image: &Image) -> Result<(), Failure> {
    runnable(image)?;
    // Never closed.
    let _place = platform.building.acquire().await.map_err(Failure::because)?;
    for layer in &image.layers {
        let layer = Arc::clone(&layer.layer);
        let pair = (layer.digest().clone(), layer.diff_id().clone());
        if platform.proven.lock().unwrap_or_else(PoisonError::into_inner).contains(&pair) {
            continue;
        }
        blocking(move || prove(&*layer)).await?;
        platform.proven.lock().unwrap_or_else(PoisonError::into_inner).insert(pair);
    }
    Ok(())
}

/// Unpacked layers are kept for all organizations by what they unpack to, and one that is there is not unpacked again:
/// so whoever names one has to show that it is their own layer's content.
fn prove(layer: &dyn Layer) -> Result<(), Failure> {
    let refused = |reason: &dyn std::fmt::Display| {
        Failure::because(format!("the image can't be run: its layer {}: {reason}", layer.digest()))
    };
    let packed = layer.open().map_err(|error| refused(&error))?;
    let packed = BufReader::with_capacity(BUFFER, packed);
    let unpacked = Compression::of(layer.media_type()).unpacked(packed).map_err(|error| refused(&error))?;
    let (mut unpacked, mut hasher) = (unpacked.take(LAYER_BYTES + 1), Hasher::new());
    let (mut buffer, mut length) = (vec![0; BUFFER], 0);
    loop {
        match unpacked.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
            Err(interrupted) if interrupted.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    if length > LAYER_BYTES {
        return Err(refused(&format!("it unpacks to more than {LAYER_BYTES} bytes")));
    }
    let found = hasher.finish();
    match found == *layer.diff_id() {
        true => Ok(()),
        false => {
            Err(refused(&format!("it unpacks to {found}, not to {} as its image says", layer.diff_id())))
        }
    }
}

/// What the image's documents have to say.
pub(super) fn runnable(image: &Image) -> Result<(), Failure> {
    let refused = |reason: String| Failure::because(format!("the image can't be run: {reason}"));
    let config = image.parsed_config().map_err(|error| refused(error.to_string()))?.config;
    let ContainerConfig { entrypoint, cmd, .. } = &config;
    if entrypoint.iter().chain(cmd).next().is_none_or(String::is_empty) {
        return Err(refused("it names no program to start, neither by ENTRYPOINT nor by CMD".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(config: &serde_json::Value) -> Image {
        let digest = format!("sha256:{}", "0".repeat(64));
        let config = json!({"architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest]}});
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2},
            "layers": []});
        Image {
            config: config.to_string().into_bytes(),
            manifest: manifest.to_string().into_bytes(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            layers: Vec::new(),
        }
    }

    #[test]
    fn an_image_without_a_program_is_refused() {
        for config in [json!({"Entrypoint": ["/a"]}), json!({"Cmd": ["/a"]})] {
            runnable(&image(&config)).unwrap();
        }
        for config in [json!({}), json!({"Entrypoint": null, "Cmd": []}), json!({"Cmd": [""]})] {
            let refused = runnable(&image(&config)).unwrap_err().to_string();
            assert!(refused.contains("no program"), "{refused}");
        }
    }

    #[test]
    fn a_layer_that_is_not_what_its_image_says_is_refused() {
        let tar = b"the tar of somebody";
        let own = oci::Digest::of(tar);
        let packed = {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gzip, tar).unwrap();
            gzip.finish().unwrap()
        };
        prove(&oci::layer::MemoryLayer::gzip(packed.clone().into(), own)).unwrap();
        let foreign = oci::Digest::of(b"somebody else's");
        let refused = prove(&oci::layer::MemoryLayer::gzip(packed.into(), foreign)).unwrap_err().to_string();
        assert!(refused.contains("as its image says"), "{refused}");
    }
}
