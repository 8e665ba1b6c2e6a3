//! An index into a repository: its images by their digests, then the index under the tag.

use reqwest::{Method, StatusCode};

use super::Client;
use super::body::read_limited;
use super::error::ClientError;
use super::exchange::Exchange;
use super::pull::{MANIFEST_MAX, manifest_request};
use super::push::{Push, Pushed, put_manifest};
use crate::image::ImageIndex;
use crate::manifest::Index;
use crate::reference::Reference;

impl Client {
    /// Pushes an index under a reference's tag, or by its digest when the reference has no tag; `previous` is as in
    /// [`push_over`](Self::push_over). The images come first, so that the tag never points to something incomplete.
    ///
    /// # Errors
    /// Those of [`push_over`](Self::push_over).
    pub async fn push_index(
        &self,
        index: &ImageIndex,
        reference: &Reference,
        previous: Option<&str>,
    ) -> Result<Pushed, ClientError> {
        self.push_index_with(index, reference, &Push { previous, progress: None }).await
    }

    /// Pushes an index as [`push_with`](Self::push_with) does one image.
    ///
    /// # Errors
    /// Those of [`push_over`](Self::push_over).
    pub async fn push_index_with(
        &self,
        index: &ImageIndex,
        reference: &Reference,
        how: &Push<'_>,
    ) -> Result<Pushed, ClientError> {
        let (digest, previous) = (index.digest(), how.previous);
        if let Some(expected) = reference.digest.as_ref().filter(|&expected| *expected != digest) {
            let what = reference.to_string();
            return Err(ClientError::DigestMismatch { what, expected: expected.clone(), found: digest });
        }
        let exchange = Exchange::new(self, reference, "pull,push", [])?;
        let before = match previous {
            Some(tag) => children(&exchange, tag).await?,
            None => None,
        };
        let mut all = Pushed { digest, requests: 0, uploaded_bytes: 0, mounted: 0, present: 0 };
        for (at, image) in index.images.iter().enumerate() {
            // The image at the same place before: indexes of one function have the same platforms.
            let same =
                before.as_ref().and_then(|before| before.manifests.get(at)).map(|one| one.digest.as_str());
            let how = Push { previous: same.or(previous), progress: how.progress.clone() };
            let pushed = self.push_with(image, &reference.with_digest(image.digest()), &how).await?;
            all.requests += pushed.requests;
            all.uploaded_bytes += pushed.uploaded_bytes;
            all.mounted += pushed.mounted;
            all.present += pushed.present;
        }
        let target = reference.tag.clone().unwrap_or_else(|| all.digest.to_string());
        put_manifest(&exchange, &target, &index.bytes, &index.media_type).await?;
        all.requests += exchange.requests();
        all.uploaded_bytes += index.bytes.len() as u64;
        Ok(all)
    }
}

/// The index that a tag names now. None: there is no such tag, or it names something else.
async fn children(exchange: &Exchange<'_>, tag: &str) -> Result<Option<Index>, ClientError> {
    let response = exchange.send(&manifest_request(exchange, tag)).await?;
    if response.status() != StatusCode::OK {
        return Ok(None);
    }
    let bytes = read_limited(response, &Method::GET, MANIFEST_MAX).await?;
    Ok(serde_json::from_slice(&bytes).ok())
}
