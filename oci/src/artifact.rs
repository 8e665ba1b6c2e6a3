//! Documents about an image: lists of contents, statements of origin. Each is a manifest of its own that names the
//! image as its subject; the image does not change by it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::digest::Digest;
use crate::image::{Image, to_json};
use crate::manifest::{Descriptor, Manifest, OCI_MANIFEST};

/// The type of a document that says nothing: what artifacts have for a configuration.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// That document.
pub const EMPTY: &[u8] = b"{}";
const ARTIFACT_TYPE: &str = "artifactType";

/// A document about an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// What it is: a media type, also of the document itself.
    pub artifact_type: String,
    /// The document.
    pub content: Vec<u8>,
    /// For its manifest; lists of what is attached show them.
    pub annotations: BTreeMap<String, String>,
}

/// A document that is attached to one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// Its manifest as an index lists it.
    pub descriptor: Descriptor,
    /// Its manifest's JSON.
    pub manifest: Vec<u8>,
    /// The document.
    pub content: Vec<u8>,
    /// Digest of the image's manifest.
    pub subject: Digest,
}

impl Artifact {
    /// The document attached to an image. The same document on the same image always gives the same bytes.
    #[must_use]
    pub fn attached_to(&self, image: &Image) -> Attachment {
        let subject = image.digest();
        let content =
            Descriptor::new(&*self.artifact_type, Digest::of(&self.content), self.content.len() as u64);
        let manifest = to_json(&Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            artifact_type: Some(self.artifact_type.clone()),
            config: Descriptor::new(OCI_EMPTY, Digest::of(EMPTY), EMPTY.len() as u64),
            layers: vec![content],
            subject: Some(Descriptor::new(&*image.media_type, subject.clone(), image.manifest.len() as u64)),
            annotations: self.annotations.clone(),
            other: BTreeMap::new(),
        });
        let descriptor = listed(&manifest, &self.artifact_type, &self.annotations);
        Attachment { descriptor, manifest, content: self.content.clone(), subject }
    }
}

impl Attachment {
    /// An attachment by the bytes of its manifest. None: the manifest is no attachment of one document.
    #[must_use]
    pub fn read(manifest: Vec<u8>, content: impl FnOnce(&Descriptor) -> Option<Vec<u8>>) -> Option<Self> {
        let parsed: Manifest = serde_json::from_slice(&manifest).ok()?;
        let (subject, [layer]) = (parsed.subject?, parsed.layers.as_slice()) else { return None };
        let artifact_type = parsed.artifact_type.as_deref().unwrap_or(&parsed.config.media_type);
        let descriptor = listed(&manifest, artifact_type, &parsed.annotations);
        Some(Self { descriptor, content: content(layer)?, manifest, subject: subject.digest })
    }
}

/// What a document is, as the descriptor of its manifest says.
#[must_use]
pub fn artifact_type(descriptor: &Descriptor) -> Option<&str> {
    descriptor.other.get(ARTIFACT_TYPE)?.as_str()
}

fn listed(manifest: &[u8], artifact_type: &str, annotations: &BTreeMap<String, String>) -> Descriptor {
    let mut descriptor = Descriptor::new(OCI_MANIFEST, Digest::of(manifest), manifest.len() as u64);
    descriptor.other.insert(ARTIFACT_TYPE.to_owned(), Value::String(artifact_type.to_owned()));
    descriptor.annotations.clone_from(annotations);
    descriptor
}
