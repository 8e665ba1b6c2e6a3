//! Descriptors, image manifests and indexes of the OCI image specification, and the media types in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer that is a plain tar.
pub const OCI_LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// A layer that is a gzip-compressed tar.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A layer that is a zstd-compressed tar.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// A Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A Docker layer, gzip-compressed.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// A Docker layer that is a plain tar.
pub const DOCKER_LAYER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// A zstd-compressed layer in a Docker manifest: some tools write it, few read it.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// Which media types an image's documents have. Readers do not take both in one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Those of the OCI image specification.
    Oci,
    /// Docker's version 2 schema 2: no annotations, and no layers but gzip and plain tar.
    Docker,
}

/// The same layer's type in both families.
const LAYER_TYPES: [(&str, &str); 3] = [
    (OCI_LAYER_GZIP, DOCKER_LAYER_GZIP),
    (OCI_LAYER_TAR, DOCKER_LAYER_TAR),
    (OCI_LAYER_ZSTD, DOCKER_LAYER_ZSTD),
];

impl Family {
    /// The family of a manifest or an index; none for anything else.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            OCI_MANIFEST | OCI_INDEX => Some(Self::Oci),
            DOCKER_MANIFEST | DOCKER_INDEX => Some(Self::Docker),
            _ => None,
        }
    }

    /// The type of an image manifest.
    #[must_use]
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    /// The type of an index.
    #[must_use]
    pub fn index(self) -> &'static str {
        match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_INDEX,
        }
    }

    /// The type of an image configuration.
    #[must_use]
    pub fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    /// The type that a layer of this type, of either family, has here. None: this family cannot carry it.
    #[must_use]
    pub fn layer(self, media_type: &str) -> Option<&'static str> {
        let (oci, docker) =
            LAYER_TYPES.into_iter().find(|(oci, docker)| [*oci, *docker].contains(&media_type))?;
        match self {
            Self::Oci => Some(oci),
            Self::Docker => Some(docker).filter(|docker| *docker != DOCKER_LAYER_ZSTD),
        }
    }
}

/// Names a blob or a manifest: its type, digest and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length of the content in bytes.
    pub size: u64,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// In an index: which machine the image is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Members this type does not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
            other: BTreeMap::new(),
        }
    }
}

/// The machine an image is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    /// As Go's GOARCH has it: `amd64`, `arm64`.
    pub architecture: String,
    /// As Go's GOOS has it: `linux`.
    pub os: String,
    /// Members this type does not know (`variant`, `os.version`, ...).
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the artifact is, for things that are not images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration blob.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// Members this type does not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// An image index (or manifest list): several manifests under one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// Members this type does not know (`subject`, `artifactType`, ...).
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Other writers put `null` where a collection is empty.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_types_and_docker_has_none_for_zstd() {
        assert_eq!(Family::Docker.layer(OCI_LAYER_GZIP), Some(DOCKER_LAYER_GZIP));
        assert_eq!(Family::Oci.layer(DOCKER_LAYER_GZIP), Some(OCI_LAYER_GZIP));
        assert_eq!(Family::Oci.layer(DOCKER_LAYER_ZSTD), Some(OCI_LAYER_ZSTD));
        assert_eq!(Family::Docker.layer(OCI_LAYER_ZSTD), None);
        assert_eq!(Family::Oci.layer("application/wasm"), None);
        assert_eq!(Family::of(DOCKER_INDEX), Some(Family::Docker));
        assert_eq!(Family::of(OCI_CONFIG), None);
    }

    #[test]
    fn unknown_members_survive() {
        let json = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"{OCI_CONFIG}","digest":"{d}","size":2,"data":"e30="}},"layers":[],"annotations":{{"a":"b"}},"x-new":{{"k":[1]}}}}"#,
            d = Digest::of(b"{}")
        );
        let manifest: Manifest = serde_json::from_str(&json).unwrap();
        assert_eq!(manifest.other["x-new"]["k"][0], 1);
        assert_eq!(serde_json::to_string(&manifest).unwrap(), json);
    }

    #[test]
    fn null_annotations_are_none() {
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"m","digest":"{}","size":1,"annotations":null,"platform":{{"architecture":"arm","os":"linux","variant":"v7"}}}}]}}"#,
            Digest::of(b"")
        );
        let index: Index = serde_json::from_str(&json).unwrap();
        assert!(index.manifests[0].annotations.is_empty());
        assert_eq!(index.manifests[0].platform.as_ref().unwrap().other["variant"], "v7");
    }
}
