//! Documents about an image into its repository, and out of it.
//!
//! A registry that knows about subjects says so (`OCI-Subject`) and lists what refers to an image. For the others the
//! specification has a tag, `sha256-<hex>`, whose index the clients keep. Nothing locks that tag: after each write it
//! is read again, and written again when another client's write took ours away. Two writers that read, write and check
//! in the same moments can still lose one entry; the document itself stays, and attaching it again lists it.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url};

use super::Client;
use super::body::{Body, read_limited};
use super::error::ClientError;
use super::exchange::{Exchange, Outgoing, expect};
use super::pull::{MANIFEST_MAX, manifest_request};
use super::push::{Pushed, put_manifest};
use super::upload::Blob;
use crate::artifact::{Attachment, EMPTY};
use crate::digest::Digest;
use crate::manifest::{Descriptor, Index, OCI_INDEX, OCI_MANIFEST};
use crate::reference::Reference;

/// How often the tag's index is written before the others have won.
const WRITES: u32 = 8;
/// How many pages of a list are read.
const PAGES: u32 = 50;

/// What attaching a document did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Digest of the document's manifest.
    pub digest: Digest,
    /// How the registry lists it.
    pub listed: Listed,
    /// Requests sent to the registry.
    pub requests: u32,
}

/// How a registry lists what is attached to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// By itself.
    ByRegistry,
    /// In an index under a tag, which clients keep.
    ByTag,
}

impl Client {
    /// Attaches a document to an image that is in the reference's repository.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn attach(
        &self,
        attachment: &Attachment,
        reference: &Reference,
    ) -> Result<Attached, ClientError> {
        let exchange = Exchange::new(self, reference, "pull,push", [])?;
        let (empty, content) = (Digest::of(EMPTY), Digest::of(&attachment.content));
        let blob = |digest, bytes: &[u8]| Blob {
            digest,
            body: Body::Bytes(Bytes::copy_from_slice(bytes)),
            mount_from: None,
            may_exist: true,
            told: None,
        };
        let digest = attachment.descriptor.digest.clone();
        let mut pushed =
            Pushed { digest: digest.clone(), requests: 0, uploaded_bytes: 0, mounted: 0, present: 0 };
        let blobs = [blob(&empty, EMPTY), blob(&content, &attachment.content)];
        self.bring_all(&exchange, &blobs, &mut pushed).await?;
        let stored = put_manifest(&exchange, digest.as_str(), &attachment.manifest, OCI_MANIFEST).await?;
        let listed = match stored.headers().contains_key("OCI-Subject") {
            true => Listed::ByRegistry,
            false => {
                list_under_tag(&exchange, attachment).await?;
                Listed::ByTag
            }
        };
        Ok(Attached { digest, listed, requests: exchange.requests() })
    }

    /// What is attached to the image with this digest.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, ClientError> {
        let exchange = Exchange::new(self, reference, "pull", [])?;
        let mut next = Some(exchange.url(&format!("referrers/{subject}")));
        let mut found: Vec<Descriptor> = Vec::new();
        for page in 0..PAGES {
            let Some(url) = next.take() else { break };
            let response = exchange.send(&Outgoing::new(Method::GET, url.clone())).await?;
            let status = response.status();
            // Registries that do not know the question say so in many ways.
            if page == 0 && status.is_client_error() && status != StatusCode::UNAUTHORIZED {
                let index = tagged(&exchange, &fallback_tag(subject)).await?;
                return Ok(index.map(|index| index.manifests).unwrap_or_default());
            }
            let response = expect(response, &Method::GET, &[StatusCode::OK]).await?;
            next = super::browse::following(&response);
            let bytes = read_limited(response, &Method::GET, MANIFEST_MAX).await?;
            found.extend(parsed(&url, &bytes)?.manifests);
        }
        Ok(found)
    }
}

/// The tag that lists what is attached to an image where the registry does not.
fn fallback_tag(subject: &Digest) -> String {
    let (algorithm, hex) = (subject.algorithm().name(), subject.hex());
    format!("{algorithm}-{}", &hex[..hex.len().min(64)])
}

/// Adds an entry to the tag's index, and looks whether it stayed there.
async fn list_under_tag(exchange: &Exchange<'_>, attachment: &Attachment) -> Result<(), ClientError> {
    let tag = fallback_tag(&attachment.subject);
    let entry = &attachment.descriptor;
    let has = |index: &Index| index.manifests.iter().any(|listed| listed.digest == entry.digest);
    let mut index = tagged(exchange, &tag).await?;
    for write in 1..=WRITES {
        if index.as_ref().is_some_and(has) {
            return Ok(());
        }
        let mut all = index.unwrap_or_else(empty);
        all.manifests.push(entry.clone());
        let bytes = crate::image::to_json(&all);
        put_manifest(exchange, &tag, &bytes, OCI_INDEX).await?;
        index = tagged(exchange, &tag).await?;
        if index.as_ref().is_some_and(has) {
            return Ok(());
        }
        tracing::debug!(tag, write, "another client wrote the list of attachments, writing again");
        // Not in step with the other one.
        exchange.pause(write).await;
    }
    let reason = format!("the tag {tag} lost this entry {WRITES} times to other writers");
    Err(ClientError::Protocol { url: tag, reason })
}

fn empty() -> Index {
    Index {
        schema_version: 2,
        media_type: Some(OCI_INDEX.to_owned()),
        manifests: Vec::new(),
        annotations: BTreeMap::new(),
        other: BTreeMap::new(),
    }
}

/// The index that a tag names. None: there is no such tag. Something else under it is an error, so that it is not
/// written over.
async fn tagged(exchange: &Exchange<'_>, tag: &str) -> Result<Option<Index>, ClientError> {
    let request = manifest_request(exchange, tag);
    let response = exchange.send(&request).await?;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let response = expect(response, &Method::GET, &[StatusCode::OK]).await?;
    let bytes = read_limited(response, &Method::GET, MANIFEST_MAX).await?;
    parsed(&request.url, &bytes).map(Some)
}

fn parsed(url: &Url, bytes: &[u8]) -> Result<Index, ClientError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ClientError::protocol(url, format!("no index of attachments: {error}")))
}
