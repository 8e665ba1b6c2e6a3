//! Manifests and blobs out of a repository, verified while they stream.

use std::path::Path;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::Client;
use super::body::{next_chunk, read_limited};
use super::error::ClientError;
use super::exchange::{Exchange, Outgoing, expect};
use crate::digest::{Digest, Hasher};
use crate::image::Image;
use crate::layout;
use crate::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Index, Manifest, OCI_INDEX, OCI_MANIFEST};
use crate::reference::Reference;

/// The longest manifest that is read, in bytes, as the distribution specification advises.
pub(super) const MANIFEST_MAX: u64 = 4 * 1024 * 1024;

impl Client {
    /// Fetches a manifest by digest or tag: its bytes, its media type, and the digest of the bytes.
    pub async fn manifest(&self, reference: &Reference) -> Result<(Vec<u8>, String, Digest), ClientError> {
        let target = reference.target().ok_or_else(|| ClientError::NoTarget(reference.to_string()))?;
        let exchange = Exchange::new(self, reference, "pull", [])?;
        let response = exchange.send(&manifest_request(&exchange, target)).await?;
        let response = expect(response, &Method::GET, &[StatusCode::OK]).await?;
        let headers = response.headers().clone();
        let url = response.url().clone();
        let bytes = read_limited(response, &Method::GET, MANIFEST_MAX).await?;
        let found = match &reference.digest {
            Some(expected) => expected.likewise(&bytes),
            None => Digest::of(&bytes),
        };
        let stated = stated_digest(&headers).filter(|stated| stated.algorithm() == found.algorithm());
        if let Some(expected) =
            reference.digest.clone().into_iter().chain(stated).find(|digest| *digest != found)
        {
            return Err(ClientError::DigestMismatch { what: reference.to_string(), expected, found });
        }
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type =
            media_type.ok_or_else(|| ClientError::protocol(&url, "a manifest without Content-Type"))?;
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
        Ok((bytes, media_type, found))
    }

    /// Downloads a blob of the reference's repository into `sink` and returns its length in bytes. A broken
    /// download goes on where it stopped. On an error `sink` may hold a part, or bytes that are not the
    /// blob's: it must not be used then.
    pub async fn blob<W>(
        &self,
        reference: &Reference,
        digest: &Digest,
        sink: &mut W,
    ) -> Result<u64, ClientError>
    where
        W: AsyncWrite + Unpin + Send,
    {
        self.blob_within(reference, digest, u64::MAX, sink).await
    }

    /// [`blob`](Self::blob), given up as soon as more than `limit` bytes came.
    pub(crate) async fn blob_within<W>(
        &self,
        reference: &Reference,
        digest: &Digest,
        limit: u64,
        sink: &mut W,
    ) -> Result<u64, ClientError>
    where
        W: AsyncWrite + Unpin + Send,
    {
        let exchange = Exchange::new(self, reference, "pull", [])?;
        let mut download = Download { hasher: Hasher::by(digest.algorithm()), received: 0, limit };
        let mut attempt = 1;
        loop {
            let error = match download.go_on(&exchange, digest, sink).await {
                Ok(()) => break,
                Err(error) => error,
            };
            let delay = self.options.retry.delay(attempt, None).filter(|_| error.is_transient());
            let Some(delay) = delay else { return Err(error) };
            tracing::debug!(%digest, attempt, received = download.received, %error, "download broke, going on");
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
        sink.flush().await.map_err(|source| ClientError::Write { digest: digest.clone(), source })?;
        let found = download.hasher.finish();
        if found != *digest {
            return Err(ClientError::DigestMismatch {
                what: exchange.url("blobs").path().to_owned(),
                expected: digest.clone(),
                found,
            });
        }
        Ok(download.received)
    }

    /// Pulls an image into an image layout in `dir` and opens it. Of an index, the linux/amd64 image.
    pub async fn pull(&self, reference: &Reference, dir: &Path) -> Result<Image, ClientError> {
        let (mut bytes, mut media_type, _) = self.manifest(reference).await?;
        if [OCI_INDEX, DOCKER_INDEX].contains(&media_type.as_str()) {
            let chosen = reference.with_digest(amd64_of(reference, &bytes)?);
            (bytes, media_type, _) = self.manifest(&chosen).await?;
        }
        let manifest: Manifest = parsed(reference, &bytes)?;
        layout::prepare(dir)?;
        for descriptor in manifest.layers.iter().chain([&manifest.config]) {
            self.blob_to_file(reference, &descriptor.digest, descriptor.size, dir).await?;
        }
        layout::write_index(dir, &bytes, &media_type)?;
        Ok(layout::read(dir)?)
    }

    async fn blob_to_file(
        &self,
        from: &Reference,
        digest: &Digest,
        size: u64,
        dir: &Path,
    ) -> Result<(), ClientError> {
        let path = layout::blob_path(dir, digest);
        if tokio::fs::metadata(&path).await.is_ok_and(|found| found.len() == size) {
            return Ok(());
        }
        let temporary = layout::temporary(&path);
        let failed = |source| ClientError::Write { digest: digest.clone(), source };
        if let Some(directory) = path.parent() {
            // That of an algorithm that is not the usual one.
            tokio::fs::create_dir_all(directory).await.map_err(failed)?;
        }
        let mut file = tokio::fs::File::create(&temporary).await.map_err(failed)?;
        let downloaded = self.blob_within(from, digest, size, &mut file).await;
        if let Err(error) = downloaded {
            let _ = tokio::fs::remove_file(&temporary).await;
            return Err(error);
        }
        tokio::fs::rename(&temporary, &path).await.map_err(failed)
    }
}

/// A download under way.
struct Download {
    hasher: Hasher,
    received: u64,
    /// More than this is not the blob.
    limit: u64,
}

impl Download {
    /// Fetches from where the last attempt stopped to the end.
    async fn go_on<W>(
        &mut self,
        exchange: &Exchange<'_>,
        digest: &Digest,
        sink: &mut W,
    ) -> Result<(), ClientError>
    where
        W: AsyncWrite + Unpin + Send,
    {
        let mut request = Outgoing::new(Method::GET, exchange.url(&format!("blobs/{digest}")));
        if self.received > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.received));
            request.headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let response = exchange.send(&request).await?;
        let mut response =
            expect(response, &Method::GET, &[StatusCode::OK, StatusCode::PARTIAL_CONTENT]).await?;
        // A registry without ranges starts from the beginning: what is there already is skipped.
        let mut skip = if response.status() == StatusCode::PARTIAL_CONTENT { 0 } else { self.received };
        while let Some(mut chunk) = next_chunk(&mut response, &Method::GET).await? {
            let skipped =
                chunk.split_to(usize::try_from(skip).map_or(chunk.len(), |skip| skip.min(chunk.len())));
            skip -= skipped.len() as u64;
            self.hasher.update(&chunk);
            self.received += chunk.len() as u64;
            if self.received > self.limit {
                let reason = format!("the blob is longer than the {} bytes its descriptor says", self.limit);
                return Err(ClientError::protocol(response.url(), reason));
            }
            sink.write_all(&chunk)
                .await
                .map_err(|source| ClientError::Write { digest: digest.clone(), source })?;
        }
        Ok(())
    }
}

/// `GET manifests/<target>`, accepting every kind that the client knows.
pub(super) fn manifest_request(exchange: &Exchange<'_>, target: &str) -> Outgoing {
    let mut request = Outgoing::new(Method::GET, exchange.url(&format!("manifests/{target}")));
    let kinds = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];
    request.headers = HeaderMap::from_iter(kinds.map(|kind| (ACCEPT, HeaderValue::from_static(kind))));
    request
}

/// Compares the digest that a registry states with the one that is right.
pub(super) fn check_digest(response: &Response, what: &str, found: &Digest) -> Result<(), ClientError> {
    let same_kind = |stated: &Digest| stated.algorithm() == found.algorithm();
    match stated_digest(response.headers()).filter(same_kind).filter(|stated| stated != found) {
        None => Ok(()),
        Some(expected) => {
            Err(ClientError::DigestMismatch { what: what.to_owned(), expected, found: found.clone() })
        }
    }
}

fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get("Docker-Content-Digest")?.to_str().ok()?).ok()
}

fn amd64_of(reference: &Reference, index: &[u8]) -> Result<Digest, ClientError> {
    let index: Index = parsed(reference, index)?;
    let fits =
        |platform: &crate::manifest::Platform| platform.os == "linux" && platform.architecture == "amd64";
    let chosen = index.manifests.into_iter().find(|found| found.platform.as_ref().is_some_and(fits));
    chosen.map(|found| found.digest).ok_or_else(|| ClientError::Protocol {
        url: reference.to_string(),
        reason: "the index has no image for linux/amd64".to_owned(),
    })
}

fn parsed<T: serde::de::DeserializeOwned>(reference: &Reference, bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Protocol {
        url: reference.to_string(),
        reason: format!("unreadable manifest: {error}"),
    })
}
