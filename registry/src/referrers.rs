//! `GET /v2/<name>/referrers/<digest>`: manifests whose `subject` is this one, such as SBOMs, provenance and
//! signatures.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use oci::Digest;
use oci::manifest::{Descriptor, Index, OCI_INDEX};
use serde::Deserialize;

use crate::Registry;
use crate::route::Answer;
use crate::store::{Disk, blocking};

/// Says that the list is only of what was asked for.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// What a referrer says about itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    artifact_type: Option<String>,
    config: Option<Config>,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

/// An index of the referrers, empty when there are none; `artifactType` in the query asks for one kind.
pub(crate) async fn list(registry: &Registry, name: &str, subject: Digest, query: Option<&str>) -> Answer {
    let wanted = wanted(query);
    let (store, repository, kind) = (registry.store.clone(), name.to_owned(), wanted.clone());
    let manifests = blocking(move || {
        let mut all = Vec::new();
        for digest in store.referrers(&repository, &subject)? {
            all.extend(described(&store, &repository, &digest)?);
        }
        all.retain(|found| kind.as_ref().is_none_or(|kind| artifact_type(found) == Some(kind)));
        Ok(all)
    });
    let index = Index {
        schema_version: 2,
        media_type: Some(OCI_INDEX.to_owned()),
        manifests: manifests.await?,
        annotations: Default::default(),
        other: Default::default(),
    };
    let body = serde_json::to_vec(&index).map_err(std::io::Error::other)?;
    let mut response = (StatusCode::OK, [(CONTENT_TYPE, OCI_INDEX)], body).into_response();
    if wanted.is_some() {
        let applied = axum::http::HeaderValue::from_static("artifactType");
        response.headers_mut().insert(FILTERS_APPLIED, applied);
    }
    Ok(response)
}

fn wanted(query: Option<&str>) -> Option<String> {
    let uri: axum::http::Uri = format!("/?{}", query?).parse().ok()?;
    let axum::extract::Query(pairs) =
        axum::extract::Query::<std::collections::HashMap<String, String>>::try_from_uri(&uri).ok()?;
    pairs.get("artifactType").cloned()
}

/// The descriptor of a manifest in this list: with its artifact type and its annotations. `None` when it has gone
/// meanwhile.
fn described(store: &Disk, repository: &str, digest: &Digest) -> std::io::Result<Option<Descriptor>> {
    let Some((bytes, media_type, _)) = store.resolve(repository, digest.as_str())? else { return Ok(None) };
    let about: About = serde_json::from_slice(&bytes).map_err(std::io::Error::other)?;
    let mut descriptor = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
    let kind = about.artifact_type.filter(|kind| !kind.is_empty());
    if let Some(kind) = kind.or(about.config.map(|config| config.media_type)) {
        descriptor.other.insert("artifactType".to_owned(), kind.into());
    }
    descriptor.annotations = about.annotations.unwrap_or_default();
    Ok(Some(descriptor))
}

fn artifact_type(descriptor: &Descriptor) -> Option<&str> {
    descriptor.other.get("artifactType")?.as_str()
}
