//! Images that nothing can be built on, each with its reason.

use crate::manifest::{DOCKER_CONFIG, Family, Manifest, OCI_CONFIG};

/// Why an image is no base. `Display` is a user's sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An image of Docker's first format.
    #[error(
        "it is a Docker schema 1 image, which has no digests of its layers; push it again with a newer tool"
    )]
    Schema1,
    /// Neither an image nor an index.
    #[error("it is no image: its media type is {0}")]
    NotAnImage(String),
    /// An artifact: a manifest whose configuration is no image's.
    #[error("it is an artifact, not an image: its configuration is {0}")]
    Artifact(String),
    /// A layer that may not be passed on.
    #[error("its layer {digest} may not be pushed to other registries ({media_type})")]
    Foreign {
        /// Which layer.
        digest: String,
        /// Its type.
        media_type: String,
    },
    /// A layer that only the owner of a key can read.
    #[error("its layer {digest} is encrypted ({media_type}); decrypt the image first")]
    Encrypted {
        /// Which layer.
        digest: String,
        /// Its type.
        media_type: String,
    },
    /// A layer of a type that is not known here.
    #[error("its layer {digest} is of a kind that is not known: {media_type}")]
    UnknownLayer {
        /// Which layer.
        digest: String,
        /// Its type.
        media_type: String,
    },
    /// No image for the machine that is wanted.
    #[error("it has no image for {wanted}; it has: {}", has.join(", "))]
    NoPlatform {
        /// Such as `linux/arm64`.
        wanted: String,
        /// What there is.
        has: Vec<String>,
    },
    /// Configuration and manifest do not agree.
    #[error("its manifest has {manifest} layers, its configuration {config}")]
    LayerCount {
        /// Layers of the manifest.
        manifest: usize,
        /// Layers of the configuration.
        config: usize,
    },
    /// No configuration is as large as that.
    #[error("its configuration is {bytes} bytes long")]
    LargeConfig {
        /// How long.
        bytes: u64,
    },
    /// A document that is no JSON of its kind.
    #[error("its {document} cannot be read: {reason}")]
    Unreadable {
        /// Which one.
        document: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A source was asked for what another one found.
    #[error("there is no image in it")]
    NoImage,
}

impl Refusal {
    /// Parses a document.
    pub(super) fn parsed<T: serde::de::DeserializeOwned>(
        document: &'static str,
        bytes: &[u8],
    ) -> Result<T, Self> {
        let unreadable = |error: serde_json::Error| Self::Unreadable { document, reason: error.to_string() };
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// The manifest of an image that can be built on.
    pub(super) fn manifest(bytes: &[u8], media_type: &str) -> Result<Manifest, Self> {
        if is_schema1(bytes, media_type) {
            return Err(Self::Schema1);
        }
        if Family::of(media_type).is_none_or(|family| family.manifest() != media_type) {
            return Err(Self::NotAnImage(media_type.to_owned()));
        }
        let manifest: Manifest = Self::parsed("manifest", bytes)?;
        let config = &manifest.config.media_type;
        if ![OCI_CONFIG, DOCKER_CONFIG].contains(&config.as_str()) {
            return Err(Self::Artifact(config.clone()));
        }
        for layer in &manifest.layers {
            let (digest, media_type) = (layer.digest.to_string(), layer.media_type.clone());
            if media_type.contains("nondistributable") || media_type.contains("foreign") {
                return Err(Self::Foreign { digest, media_type });
            }
            if media_type.ends_with("+encrypted") {
                return Err(Self::Encrypted { digest, media_type });
            }
            if Family::Oci.layer(&media_type).is_none() {
                return Err(Self::UnknownLayer { digest, media_type });
            }
        }
        Ok(manifest)
    }
}

/// Docker's first format: its own media types, or none but the number in it.
fn is_schema1(bytes: &[u8], media_type: &str) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        schema_version: u32,
    }
    media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
        || serde_json::from_slice::<Version>(bytes).is_ok_and(|found| found.schema_version == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::manifest::{DOCKER_MANIFEST, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST};

    fn manifest(config: &str, layer: &str) -> String {
        let digest = Digest::of(b"x");
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","digest":"{digest}","size":1}},
            "layers":[{{"mediaType":"{layer}","digest":"{digest}","size":1}}]}}"#
        )
    }

    fn refused(text: &str, media_type: &str) -> String {
        Refusal::manifest(text.as_bytes(), media_type).unwrap_err().to_string()
    }

    #[test]
    fn what_can_be_built_on_is_taken() {
        for (kind, config, layer) in [
            (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_GZIP),
            (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_ZSTD),
            (DOCKER_MANIFEST, DOCKER_CONFIG, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        ] {
            assert!(Refusal::manifest(manifest(config, layer).as_bytes(), kind).is_ok(), "{layer}");
        }
    }

    #[test]
    fn what_cannot_be_built_on_is_told_by_its_kind() {
        let said = refused(r#"{"schemaVersion":1,"fsLayers":[]}"#, "application/json");
        assert!(said.contains("schema 1"), "{said}");
        let v1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        assert!(refused("{}", v1).contains("schema 1"));
        assert!(refused("{}", "application/wasm").contains("application/wasm"));
        assert!(refused("{", OCI_MANIFEST).contains("its manifest cannot be read"));
        let empty = manifest("application/vnd.oci.empty.v1+json", OCI_LAYER_GZIP);
        assert!(refused(&empty, OCI_MANIFEST).contains("artifact"));
        for (layer, word) in [
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "may not be pushed"),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "may not be pushed"),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "encrypted"),
            ("application/octet-stream", "not known"),
        ] {
            let said = refused(&manifest(OCI_CONFIG, layer), OCI_MANIFEST);
            assert!(said.contains(word) && said.contains("sha256:"), "{said}");
        }
    }
}
