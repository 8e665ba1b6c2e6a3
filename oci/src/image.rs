//! An image as a value: manifest and configuration as the bytes they are, and its layers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::config::{ImageConfig, RootFs};
use crate::digest::Digest;
use crate::layer::Layer;
use crate::manifest::{Descriptor, Family, Index, Manifest, Platform};

/// An image. `config` and `manifest` are the exact bytes their digests are over.
#[derive(Clone)]
pub struct Image {
    /// The configuration's JSON.
    pub config: Vec<u8>,
    /// The manifest's JSON; it names `config` and `layers`.
    pub manifest: Vec<u8>,
    /// The manifest's media type.
    pub media_type: String,
    /// The layers, lowest first.
    pub layers: Vec<ImageLayer>,
}

/// A layer in an image, and where the target registry may have it already.
#[derive(Clone)]
pub struct ImageLayer {
    /// The layer.
    pub layer: Arc<dyn Layer>,
    /// A repository of the target registry that probably has it: a push mounts it from there first.
    pub mount_from: Option<String>,
}

impl Image {
    /// Puts an image of the OCI family together from its parts. The configuration's `rootfs` is set from the
    /// layers; the same parts always give the same bytes.
    pub fn assemble(
        config: ImageConfig,
        layers: Vec<ImageLayer>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self::assemble_as(Family::Oci, config, layers, annotations)
    }

    /// [`assemble`](Self::assemble) with the media types of a family. Annotations are for the OCI family only.
    pub fn assemble_as(
        family: Family,
        mut config: ImageConfig,
        layers: Vec<ImageLayer>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        config.rootfs = RootFs {
            diff_ids: layers.iter().map(|l| l.layer.diff_id().clone()).collect(),
            ..RootFs::default()
        };
        let config = to_json(&config);
        let descriptor = |ImageLayer { layer, .. }: &ImageLayer| {
            let media_type = family.layer(layer.media_type()).unwrap_or(layer.media_type());
            Descriptor::new(media_type, layer.digest().clone(), layer.size())
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(family.manifest().to_owned()),
            artifact_type: None,
            config: Descriptor::new(family.config(), Digest::of(&config), config.len() as u64),
            layers: layers.iter().map(descriptor).collect(),
            subject: None,
            annotations,
            other: BTreeMap::new(),
        };
        Self { manifest: to_json(&manifest), config, media_type: family.manifest().to_owned(), layers }
    }

    /// The image's digest: that of its manifest's bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// What an index says of it.
    fn descriptor(&self) -> Result<Descriptor, serde_json::Error> {
        let config = self.parsed_config()?;
        let variant = config.other.get("variant").cloned();
        let mut descriptor = Descriptor::new(&*self.media_type, self.digest(), self.manifest.len() as u64);
        descriptor.platform = Some(Platform {
            architecture: config.architecture,
            os: config.os,
            other: variant.map(|variant| ("variant".to_owned(), variant)).into_iter().collect(),
        });
        Ok(descriptor)
    }

    /// The manifest, parsed.
    pub fn parsed_manifest(&self) -> Result<Manifest, serde_json::Error> {
        serde_json::from_slice(&self.manifest)
    }

    /// The configuration, parsed.
    pub fn parsed_config(&self) -> Result<ImageConfig, serde_json::Error> {
        serde_json::from_slice(&self.config)
    }
}

/// One image for several machines: an index, and an image for each.
#[derive(Debug, Clone)]
pub struct ImageIndex {
    /// The index's JSON, which its digest is over.
    pub bytes: Vec<u8>,
    /// The index's media type.
    pub media_type: String,
    /// The images in the index's order.
    pub images: Vec<Image>,
}

impl ImageIndex {
    /// Puts an index together; each image's platform is the one of its configuration. The same images in the
    /// same order always give the same bytes.
    ///
    /// # Errors
    /// An image's configuration is not readable.
    pub fn assemble(
        images: Vec<Image>,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, serde_json::Error> {
        let docker = images.iter().all(|image| Family::of(&image.media_type) == Some(Family::Docker));
        let family = if docker { Family::Docker } else { Family::Oci };
        let index = Index {
            schema_version: 2,
            media_type: Some(family.index().to_owned()),
            manifests: images.iter().map(Image::descriptor).collect::<Result<_, _>>()?,
            annotations: if docker { BTreeMap::new() } else { annotations },
            other: BTreeMap::new(),
        };
        Ok(Self { bytes: to_json(&index), media_type: family.index().to_owned(), images })
    }

    /// The digest of the index.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<_> = self.layers.iter().map(|l| l.layer.digest()).collect();
        f.debug_struct("Image")
            .field("digest", &self.digest())
            .field("layers", &layers)
            .finish_non_exhaustive()
    }
}

impl ImageLayer {
    /// A layer that is uploaded unless the target repository has it.
    pub fn new(layer: Arc<dyn Layer>) -> Self {
        Self { layer, mount_from: None }
    }

    /// A layer that a repository of the target registry probably has.
    pub fn mounted(layer: Arc<dyn Layer>, repository: impl Into<String>) -> Self {
        Self { layer, mount_from: Some(repository.into()) }
    }
}

impl fmt::Debug for ImageLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageLayer")
            .field("digest", self.layer.digest())
            .field("size", &self.layer.size())
            .field("mount_from", &self.mount_from)
            .finish()
    }
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("maps here have text keys and no serializer of ours fails")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::MemoryLayer;
    use bytes::Bytes;

    fn layer(bytes: &'static [u8], diff: &[u8]) -> ImageLayer {
        ImageLayer::new(Arc::new(MemoryLayer::gzip(Bytes::from_static(bytes), Digest::of(diff))))
    }

    #[test]
    fn the_same_parts_give_the_same_bytes() {
        let make = || {
            let mut config = ImageConfig::default();
            config.config.labels.insert("z".into(), "1".into());
            config.config.labels.insert("a".into(), "2".into());
            Image::assemble(
                config,
                vec![layer(b"one", b"1"), layer(b"two", b"2")],
                [("k".into(), "v".into())].into(),
            )
        };
        assert_eq!(make().digest(), make().digest());
        assert_eq!(
            make().digest().as_str(),
            "sha256:f624eab5e70b92b156eb23a498000094bf75f27990bbe49d0590cd89bc50f8eb",
            "{}",
            String::from_utf8_lossy(&make().manifest)
        );
    }

    #[test]
    fn an_index_names_each_image_with_its_platform() {
        let image = |architecture: &str| {
            let mut config = ImageConfig { architecture: architecture.into(), ..ImageConfig::default() };
            config.other.extend((architecture == "arm64").then(|| ("variant".to_owned(), "v8".into())));
            Image::assemble(config, vec![layer(b"one", b"1")], BTreeMap::new())
        };
        let images = vec![image("amd64"), image("arm64")];
        let index = ImageIndex::assemble(images.clone(), BTreeMap::new()).unwrap();
        let parsed: Index = serde_json::from_slice(&index.bytes).unwrap();
        assert_eq!(parsed.media_type.as_deref(), Some(crate::manifest::OCI_INDEX));
        let digests: Vec<_> = parsed.manifests.iter().map(|found| found.digest.clone()).collect();
        assert_eq!(digests, [images[0].digest(), images[1].digest()]);
        let platforms: Vec<_> = parsed.manifests.into_iter().filter_map(|found| found.platform).collect();
        assert_eq!((&*platforms[0].architecture, platforms[0].other.len()), ("amd64", 0));
        assert_eq!(platforms[1].other["variant"], "v8");
        assert_eq!(ImageIndex::assemble(images, BTreeMap::new()).unwrap().digest(), index.digest());
    }

    #[test]
    fn the_manifest_names_its_parts() {
        let image = Image::assemble(ImageConfig::default(), vec![layer(b"one", b"1")], BTreeMap::new());
        let manifest = image.parsed_manifest().unwrap();
        assert_eq!(manifest.config.digest, Digest::of(&image.config));
        assert_eq!(manifest.layers[0].digest, Digest::of(b"one"));
        assert_eq!(manifest.layers[0].size, 3);
        assert_eq!(image.parsed_config().unwrap().rootfs.diff_ids, [Digest::of(b"1")]);
    }
}
