//! An image into a repository: layers, configuration, manifest, in that order, so that a tag never points
//! to something incomplete.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};

use super::Client;
use super::body::{Body, read_limited};
use super::error::ClientError;
use super::exchange::{Exchange, Outgoing, expect};
use super::progress::{Arrival, Progress, Told};
use super::pull::{MANIFEST_MAX, check_digest, manifest_request};
use super::upload::{Blob, bring};
use crate::digest::Digest;
use crate::image::{Image, ImageLayer};
use crate::manifest::Manifest;
use crate::reference::{InvalidReference, Reference, is_repository, is_tag};

/// How many blobs are brought at once: three of a base, dependencies, code, configuration. A round trip to a registry
/// far away is then waited for once, not for each.
const AT_ONCE: usize = 6;

/// How an image is pushed.
#[derive(Debug, Clone, Default)]
pub struct Push<'a> {
    /// A tag of the same repository whose image probably shares blobs with this one (the version before). Its
    /// manifest is fetched first, and what it names is not sent again.
    pub previous: Option<&'a str>,
    /// Hears how it goes on.
    pub progress: Option<Arc<dyn Progress>>,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The image's digest.
    pub digest: Digest,
    /// Requests sent to the registry (the token service's not counted).
    pub requests: u32,
    /// Bytes of layers, configuration and manifest that were sent.
    pub uploaded_bytes: u64,
    /// Blobs linked from another repository.
    pub mounted: u32,
    /// Blobs the repository had already.
    pub present: u32,
}

impl Client {
    /// Pushes an image under a reference's tag, or by its digest when the reference has no tag.
    ///
    /// # Errors
    /// [`ClientError`]; the tag then names what it named before.
    pub async fn push(&self, image: &Image, reference: &Reference) -> Result<Pushed, ClientError> {
        self.push_with(image, reference, &Push::default()).await
    }

    /// Pushes an image over the one before it, see [`Push::previous`].
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_over(
        &self,
        image: &Image,
        reference: &Reference,
        previous: Option<&str>,
    ) -> Result<Pushed, ClientError> {
        self.push_with(image, reference, &Push { previous, progress: None }).await
    }

    /// Pushes an image. The blobs come in any order, the manifest when all of them are there.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_with(
        &self,
        image: &Image,
        reference: &Reference,
        how: &Push<'_>,
    ) -> Result<Pushed, ClientError> {
        let digest = image.digest();
        if let Some(expected) = reference.digest.as_ref().filter(|&expected| *expected != digest) {
            let what = reference.to_string();
            return Err(ClientError::DigestMismatch { what, expected: expected.clone(), found: digest });
        }
        let exchange = Exchange::new(self, reference, "pull,push", sources(image)?)?;
        let mut pushed = Pushed { digest, requests: 0, uploaded_bytes: 0, mounted: 0, present: 0 };
        let before = match how.previous {
            Some(tag) => before(&exchange, tag).await?,
            None => Before::default(),
        };
        let config = Digest::of(&image.config);
        let blobs = missing(image, &config, before, how, &mut pushed);
        self.bring_all(&exchange, &blobs, &mut pushed).await?;
        let target = reference.tag.clone().unwrap_or_else(|| pushed.digest.to_string());
        put_manifest(&exchange, &target, &image.manifest, &image.media_type).await?;
        pushed.uploaded_bytes += image.manifest.len() as u64;
        pushed.requests = exchange.requests();
        tracing::debug!(%reference, digest = %pushed.digest, requests = pushed.requests, "pushed");
        Ok(pushed)
    }

    /// Brings blobs into the repository, several at once. To a registry that has not answered anything yet the first one
    /// goes alone, since it shows what the registry wants to see.
    pub(super) async fn bring_all(
        &self,
        exchange: &Exchange<'_>,
        blobs: &[Blob<'_>],
        pushed: &mut Pushed,
    ) -> Result<(), ClientError> {
        let mut count = |blob: &Blob<'_>, arrival| match arrival {
            Arrival::Mounted => pushed.mounted += 1,
            Arrival::Present => pushed.present += 1,
            Arrival::Uploaded => pushed.uploaded_bytes += blob.body.length(),
        };
        let ordered = in_turn(blobs);
        let (alone, rest) = ordered.split_at(usize::from(!exchange.is_acquainted()).min(ordered.len()));
        for blob in alone {
            count(blob, bring(self, exchange, blob).await?);
        }
        // Collected first: a stream that still held the closure would not be Send for the callers that spawn it.
        let brought: Vec<_> = rest
            .iter()
            .copied()
            .map(|blob| async move { Ok::<_, ClientError>((blob, bring(self, exchange, blob).await?)) })
            .collect();
        let arrived: Vec<_> = stream::iter(brought).buffer_unordered(AT_ONCE).try_collect().await?;
        arrived.into_iter().for_each(|(blob, arrival)| count(blob, arrival));
        Ok(())
    }

    /// Gives an image that is in the registry (by digest or tag) another tag. Returns its digest.
    pub async fn tag(&self, existing: &Reference, new_tag: &str) -> Result<Digest, ClientError> {
        if !is_tag(new_tag) {
            return Err(InvalidReference::Tag(new_tag.to_owned()).into());
        }
        let (bytes, media_type, digest) = self.manifest(existing).await?;
        let exchange = Exchange::new(self, existing, "pull,push", [])?;
        put_manifest(&exchange, new_tag, &bytes, &media_type).await?;
        Ok(digest)
    }
}

/// The blobs of an image that are not known to be there, each once. Those that are count as present.
fn missing<'a>(
    image: &'a Image,
    config: &'a Digest,
    before: Before,
    how: &Push<'_>,
    pushed: &mut Pushed,
) -> Vec<Blob<'a>> {
    let Before { mut there, is_new } = before;
    let layers = image.layers.iter().map(|ImageLayer { layer, mount_from }| {
        (layer.digest(), Body::Layer(layer.clone()), mount_from.as_deref())
    });
    let config = (config, Body::Bytes(Bytes::copy_from_slice(&image.config)), None);
    let mut blobs = Vec::new();
    for (digest, body, mount_from) in layers.chain([config]) {
        if !there.insert(digest.clone()) {
            pushed.present += 1;
            if let Some(progress) = &how.progress {
                progress.arrived(digest, body.length(), Arrival::Present);
            }
            continue;
        }
        let told = how.progress.clone().map(|progress| Told { progress, blob: digest.clone() });
        blobs.push(Blob { digest, body, mount_from, may_exist: !is_new, told });
    }
    blobs
}

/// The first blob of each repository that is mounted from, then what waits for none of these, then what does.
fn in_turn<'a, 'b>(blobs: &'a [Blob<'b>]) -> Vec<&'a Blob<'b>> {
    let mut asked = HashSet::new();
    let (mut first, mut free, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for blob in blobs {
        let turn = match blob.mount_from {
            None => &mut free,
            Some(from) if asked.insert(from) => &mut first,
            Some(_) => &mut waiting,
        };
        turn.push(blob);
    }
    [first, free, waiting].concat()
}

/// The repositories an image's layers are mounted from.
fn sources(image: &Image) -> Result<Vec<String>, InvalidReference> {
    let sources: Vec<String> = image.layers.iter().filter_map(|layer| layer.mount_from.clone()).collect();
    match sources.iter().find(|source| !is_repository(source)) {
        Some(source) => Err(InvalidReference::Repository(source.clone())),
        None => Ok(sources),
    }
}

/// What a tag's image says about the repository.
#[derive(Default)]
struct Before {
    /// Blobs that are there.
    there: HashSet<Digest>,
    /// The repository does not exist yet, so nothing is there.
    is_new: bool,
}

/// Fetches the manifest of `tag`. Anything that is not an image manifest says nothing.
async fn before(exchange: &Exchange<'_>, tag: &str) -> Result<Before, ClientError> {
    let response = exchange.send(&manifest_request(exchange, tag)).await?;
    if response.status() == StatusCode::NOT_FOUND {
        let refusal = ClientError::refusal(&Method::GET, response).await;
        let is_new = matches!(&refusal, ClientError::Registry { code, .. } if code == "NAME_UNKNOWN");
        return Ok(Before { is_new, ..Before::default() });
    }
    let response = expect(response, &Method::GET, &[StatusCode::OK]).await?;
    let bytes = read_limited(response, &Method::GET, MANIFEST_MAX).await?;
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else { return Ok(Before::default()) };
    let there =
        manifest.layers.into_iter().chain([manifest.config]).map(|descriptor| descriptor.digest).collect();
    Ok(Before { there, is_new: false })
}

/// Stores a manifest under a tag or digest, and checks that the registry computed the same digest. Its answer says
/// more to some.
pub(super) async fn put_manifest(
    exchange: &Exchange<'_>,
    target: &str,
    bytes: &[u8],
    media_type: &str,
) -> Result<Response, ClientError> {
    let url = exchange.url(&format!("manifests/{target}"));
    let media_type = HeaderValue::from_str(media_type)
        .map_err(|_| ClientError::protocol(&url, format!("{media_type:?} is no media type")))?;
    let request = Outgoing {
        method: Method::PUT,
        url,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, media_type)]),
        body: Body::Bytes(Bytes::copy_from_slice(bytes)),
    };
    let response = exchange.send(&request).await?;
    let response = expect(response, &Method::PUT, &[StatusCode::CREATED]).await?;
    check_digest(&response, target, &Digest::of(bytes))?;
    Ok(response)
}
