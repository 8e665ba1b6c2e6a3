//! Manifests by tag and digest. One is stored only when all that it names is in the repository already.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use oci::Digest;
use oci::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, Index, Manifest, OCI_INDEX, OCI_MANIFEST};
use serde::Deserialize;

use crate::Registry;
use crate::error::Refusal;
use crate::route::{Answer, CONTENT_DIGEST, ManifestTarget};
use crate::store::{Disk, blocking};

/// Says that the registry knows of the manifest's subject: clients need not keep a list themselves.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// `GET` and `HEAD /v2/<name>/manifests/<tag or digest>`. The server leaves out the body of a HEAD.
pub(crate) async fn get(registry: &Registry, name: &str, target: ManifestTarget<'_>) -> Answer {
    let (store, repository, wanted) = (registry.store.clone(), name.to_owned(), target.as_str().to_owned());
    let found = blocking(move || match store.resolve(&repository, &wanted)? {
        Some(found) => Ok(Ok(found)),
        None => store.has_repository(&repository).map(Err),
    });
    match found.await? {
        Ok((bytes, media_type, digest)) => Response::builder()
            .header(CONTENT_TYPE, media_type)
            .header(CONTENT_LENGTH, bytes.len())
            .header(CONTENT_DIGEST, digest.as_str())
            .body(Body::from(bytes))
            .map_err(|error| Refusal::store(&std::io::Error::other(error))),
        Err(true) => Err(Refusal::manifest_unknown(target.as_str())),
        Err(false) => Err(Refusal::name_unknown(name)),
    }
}

/// `PUT /v2/<name>/manifests/<tag or digest>`.
pub(crate) async fn put(
    registry: &Registry,
    name: &str,
    target: ManifestTarget<'_>,
    request: Request<Body>,
) -> Answer {
    let stated = media_type_of(request.headers());
    let limit = registry.limits.manifest;
    let bytes =
        axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| unreadable(&error, limit))?;
    let digest = match &target {
        ManifestTarget::Digest(expected) => expected.likewise(&bytes),
        ManifestTarget::Tag(_) => Digest::of(&bytes),
    };
    if let ManifestTarget::Digest(expected) = &target
        && *expected != digest
    {
        return Err(Refusal::digest_mismatch(expected, &digest));
    }
    let (media_type, parts) = parts(stated, &bytes)?;
    let subject = parts.subject.clone();
    let tag = match &target {
        ManifestTarget::Tag(tag) => Some((*tag).to_owned()),
        ManifestTarget::Digest(_) => None,
    };
    let (of, store, repository) = (registry.clone(), registry.store.clone(), name.to_owned());
    let stored = blocking(move || {
        if let Some(missing) = missing(&store, &repository, &parts)? {
            return Ok(Err(Refusal::manifest_blob_unknown(&missing)));
        }
        let put = || {
            if let Some(subject) = &parts.subject {
                store.refer(&repository, subject, &digest)?;
            }
            store.put_manifest(&repository, tag.as_deref(), &bytes, &media_type, &digest)
        };
        let put = of.within_quota(&repository, &digest, bytes.len() as u64, put)?;
        Ok(put.map(|()| digest))
    });
    let digest = stored.await??;
    let headers =
        [(LOCATION, format!("/v2/{name}/manifests/{digest}")), (CONTENT_DIGEST, digest.to_string())];
    let mut response = (StatusCode::CREATED, headers).into_response();
    if let Some(subject) = subject.and_then(|subject| HeaderValue::from_str(subject.as_str()).ok()) {
        response.headers_mut().insert(SUBJECT, subject);
    }
    Ok(response)
}

/// `DELETE /v2/<name>/manifests/<tag or digest>`: a tag alone, or a manifest with its tags.
pub(crate) async fn delete(registry: &Registry, name: &str, target: ManifestTarget<'_>) -> Answer {
    if let ManifestTarget::Digest(digest) = &target
        && let Some(reason) = registry.authorize.in_use(name, digest).await?
    {
        return Err(Refusal::in_use(digest, &reason));
    }
    let (store, repository, text) = (registry.store.clone(), name.to_owned(), target.as_str().to_owned());
    let deleted = blocking(move || match Digest::parse(&text) {
        Ok(digest) => store.delete_manifest(&repository, &digest),
        Err(_) => store.delete_tag(&repository, &text),
    });
    match deleted.await? {
        true => Ok(StatusCode::ACCEPTED.into_response()),
        false => Err(Refusal::manifest_unknown(target.as_str())),
    }
}

/// What a manifest names and the repository must have.
#[derive(Debug, Default)]
struct Parts {
    blobs: Vec<Digest>,
    manifests: Vec<Digest>,
    /// What it refers to; that need not be here.
    subject: Option<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: u32,
    media_type: Option<String>,
    subject: Option<Descriptor>,
}

/// The manifest's media type, from the header and the document, which must agree; and what it names.
fn parts(stated: Option<String>, bytes: &[u8]) -> Result<(String, Parts), Refusal> {
    let invalid = |error: serde_json::Error| Refusal::manifest_invalid(error.to_string());
    let head: Head = serde_json::from_slice(bytes).map_err(invalid)?;
    if head.schema_version != 2 {
        return Err(Refusal::manifest_invalid(format!("schemaVersion {} is not 2", head.schema_version)));
    }
    let media_type = match (stated, head.media_type) {
        (Some(stated), Some(own)) if stated != own => {
            return Err(Refusal::manifest_invalid(format!("Content-Type is {stated}, mediaType is {own}")));
        }
        (Some(media_type), _) | (None, Some(media_type)) => media_type,
        (None, None) => return Err(Refusal::manifest_invalid("neither Content-Type nor mediaType is given")),
    };
    let parts = match media_type.as_str() {
        OCI_MANIFEST | DOCKER_MANIFEST => {
            let manifest: Manifest = serde_json::from_slice(bytes).map_err(invalid)?;
            // What is to be fetched from elsewhere (`urls`) is never pushed.
            let here = |layer: &Descriptor| !layer.other.contains_key("urls");
            let layers = manifest.layers.into_iter().filter(here).chain([manifest.config]);
            Parts { blobs: layers.map(|descriptor| descriptor.digest).collect(), ..Parts::default() }
        }
        OCI_INDEX | DOCKER_INDEX => {
            let index: Index = serde_json::from_slice(bytes).map_err(invalid)?;
            Parts {
                manifests: index.manifests.into_iter().map(|found| found.digest).collect(),
                ..Parts::default()
            }
        }
        other => return Err(Refusal::manifest_invalid(format!("{other} is not supported"))),
    };
    let subject = head.subject.map(|subject| subject.digest);
    Ok((media_type, Parts { subject, ..parts }))
}

/// All that a stored manifest names; `None` when it cannot be read.
pub(crate) fn names(media_type: &str, bytes: &[u8]) -> Option<Vec<Digest>> {
    let (_, parts) = parts(Some(media_type.to_owned()), bytes).ok()?;
    Some(parts.blobs.into_iter().chain(parts.manifests).collect())
}

/// The first of these that the repository does not have.
fn missing(store: &Disk, repository: &str, parts: &Parts) -> std::io::Result<Option<Digest>> {
    for digest in &parts.blobs {
        if !store.is_linked(repository, digest)? {
            return Ok(Some(digest.clone()));
        }
    }
    for digest in &parts.manifests {
        if !store.has_manifest(repository, digest)? {
            return Ok(Some(digest.clone()));
        }
    }
    Ok(None)
}

fn media_type_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_owned()).filter(|text| !text.is_empty())
}

/// Why a body could not be read: it was too long, or broke off.
fn unreadable(error: &axum::Error, limit: usize) -> Refusal {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return Refusal::too_large("the manifest", limit as u64);
        }
        cause = error.source();
    }
    Refusal::manifest_invalid(format!("the body ended early: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_document_must_agree() {
        let json = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[]}}"#);
        assert_eq!(parts(None, json.as_bytes()).unwrap().0, OCI_INDEX);
        assert!(parts(Some(OCI_MANIFEST.into()), json.as_bytes()).is_err());
        assert!(parts(Some(OCI_INDEX.into()), br#"{"schemaVersion":1,"manifests":[]}"#).is_err());
        assert!(parts(None, br#"{"schemaVersion":2,"manifests":[]}"#).is_err());
        assert!(parts(Some("text/plain".into()), br#"{"schemaVersion":2}"#).is_err());
        assert!(parts(Some(OCI_MANIFEST.into()), b"not json").is_err());
    }

    #[test]
    fn foreign_layers_need_not_be_here() {
        let digest = Digest::of(b"x");
        let json = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{digest}","size":1}},"layers":[{{"mediaType":"l","digest":"{}","size":1,"urls":["https://x"]}}]}}"#,
            Digest::of(b"foreign")
        );
        assert_eq!(parts(Some(OCI_MANIFEST.into()), json.as_bytes()).unwrap().1.blobs, [digest]);
    }
}
