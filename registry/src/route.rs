//! Which operation a request is. Repository names hold slashes, so the path is read from its end.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{ALLOW, HeaderName};
use axum::http::{Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use oci::Digest;
use oci::reference::{is_repository, is_tag};

use crate::authorize::Action;
use crate::error::Refusal;
use crate::{Registry, blobs, catalog, clean, manifests, referrers, tags, uploads};

/// The header by which registries state a digest.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What handlers answer.
pub(crate) type Answer = Result<Response<Body>, Refusal>;

/// The routes below `/v2/`.
pub fn router(registry: Registry) -> Router {
    Router::new()
        .route("/v2", get(version))
        .route("/v2/", get(version))
        .route("/v2/_catalog", get(catalog))
        .route("/v2/{*path}", any(dispatch))
        .with_state(registry)
}

/// `GET /v2/`: the version check.
async fn version(State(registry): State<Registry>, request: Request<Body>) -> Answer {
    registry.check(request.headers(), "", Action::Pull).await?;
    Ok(([("docker-distribution-api-version", "registry/2.0")], axum::Json(serde_json::json!({})))
        .into_response())
}

/// `GET /v2/_catalog`.
async fn catalog(State(registry): State<Registry>, request: Request<Body>) -> Answer {
    registry.check(request.headers(), "", Action::Pull).await?;
    catalog::list(&registry, request.headers(), request.uri().query()).await
}

async fn dispatch(
    State(registry): State<Registry>,
    Path(path): Path<String>,
    request: Request<Body>,
) -> Answer {
    let (name, target) = parse(&path)?;
    let method = request.method().clone();
    let action = if matches!(method, Method::GET | Method::HEAD) && !matches!(target, Target::Upload(_)) {
        Action::Pull
    } else {
        Action::Push
    };
    registry.check(request.headers(), name, action).await?;
    match (target, method.as_str()) {
        (Target::Blob(digest), "GET" | "HEAD") => {
            blobs::get(&registry, name, digest, &method, request.headers()).await
        }
        (Target::Blob(digest), "DELETE") => blobs::delete(&registry, name, digest).await,
        (Target::Uploads, "POST") => uploads::start(&registry, name, request).await,
        (Target::Upload(id), "GET") => uploads::status(&registry, name, id),
        (Target::Upload(id), "PATCH") => uploads::append(&registry, name, id, request).await,
        (Target::Upload(id), "PUT") => uploads::finish(&registry, name, id, request).await,
        (Target::Upload(id), "DELETE") => uploads::cancel(&registry, name, id),
        (Target::Manifest(target), "GET" | "HEAD") => manifests::get(&registry, name, target).await,
        (Target::Manifest(target), "PUT") => manifests::put(&registry, name, target, request).await,
        (Target::Manifest(target), "DELETE") => manifests::delete(&registry, name, target).await,
        (Target::Tags, "GET") => tags::list(&registry, name, request.uri().query()).await,
        (Target::Referrers(digest), "GET") => {
            referrers::list(&registry, name, digest, request.uri().query()).await
        }
        (Target::Clean, "POST") => clean::clean(&registry, name).await,
        (target, method) => Err(not_allowed(&target, method)),
    }
}

/// What a path names in a repository.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Blob(Digest),
    Uploads,
    Upload(uuid::Uuid),
    Manifest(ManifestTarget<'a>),
    Tags,
    Referrers(Digest),
    Clean,
}

/// By what a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManifestTarget<'a> {
    Digest(Digest),
    Tag(&'a str),
}

impl ManifestTarget<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Digest(digest) => digest.as_str(),
            Self::Tag(tag) => tag,
        }
    }
}

fn parse(path: &str) -> Result<(&str, Target<'_>), Refusal> {
    let unknown = || Refusal::unsupported("no such endpoint", StatusCode::NOT_FOUND);
    let path = path.strip_suffix('/').unwrap_or(path);
    let (rest, last) = path.rsplit_once('/').ok_or_else(unknown)?;
    if last == "uploads"
        && let Some(name) = rest.strip_suffix("/blobs")
    {
        return Ok((valid(name)?, Target::Uploads));
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        let id = uuid::Uuid::parse_str(last).map_err(|_| Refusal::upload_unknown())?;
        return Ok((valid(name)?, Target::Upload(id)));
    }
    let (name, kind) = rest.rsplit_once('/').ok_or_else(unknown)?;
    let target = match (kind, last) {
        ("blobs", digest) => Target::Blob(parse_digest(digest)?),
        ("manifests", target) => Target::Manifest(manifest_target(target)?),
        ("tags", "list") => Target::Tags,
        ("referrers", digest) => Target::Referrers(parse_digest(digest)?),
        ("_zipship", "clean") => Target::Clean,
        _ => return Err(unknown()),
    };
    Ok((valid(name)?, target))
}

fn valid(name: &str) -> Result<&str, Refusal> {
    if is_repository(name) { Ok(name) } else { Err(Refusal::name_invalid(name)) }
}

/// A digest of a request; a malformed one is the caller's mistake.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    Digest::parse(text).map_err(|error| Refusal::digest_invalid(error.to_string()))
}

fn manifest_target(text: &str) -> Result<ManifestTarget<'_>, Refusal> {
    if text.contains(':') {
        return parse_digest(text).map(ManifestTarget::Digest);
    }
    if is_tag(text) {
        Ok(ManifestTarget::Tag(text))
    } else {
        Err(Refusal::manifest_invalid(format!("\"{text}\" is no tag")))
    }
}

fn not_allowed(target: &Target<'_>, method: &str) -> Refusal {
    let allow = match target {
        Target::Blob(_) => "GET, HEAD, DELETE",
        Target::Uploads | Target::Clean => "POST",
        Target::Upload(_) => "GET, PATCH, PUT, DELETE",
        Target::Manifest(_) => "GET, HEAD, PUT, DELETE",
        Target::Tags | Target::Referrers(_) => "GET",
    };
    Refusal::unsupported(format!("{method} is not possible here"), StatusCode::METHOD_NOT_ALLOWED)
        .with(ALLOW, allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_look_like_endpoints() {
        let digest = Digest::of(b"");
        let is = |path: &str, name: &str, target: Target<'_>| {
            let (found_name, found) = parse(path).unwrap_or_else(|error| panic!("{path}: {error:?}"));
            assert_eq!((found_name, found), (name, target), "{path}");
        };
        is("a/b/tags/list", "a/b", Target::Tags);
        is("a/b/_zipship/clean", "a/b", Target::Clean);
        is("a/manifests/manifests/latest", "a/manifests", Target::Manifest(ManifestTarget::Tag("latest")));
        is("tags/list/tags/list", "tags/list", Target::Tags);
        is("a/blobs/uploads/", "a", Target::Uploads);
        is("a/blobs/uploads", "a", Target::Uploads);
        is("blobs/uploads/blobs/uploads/", "blobs/uploads", Target::Uploads);
        is(&format!("a/blobs/{digest}"), "a", Target::Blob(digest));
    }

    #[test]
    fn bad_paths_are_refused() {
        for path in [
            "",
            "a",
            "a/b",
            "A/tags/list",
            "../tags/list",
            "a/../b/tags/list",
            "a/blobs/sha256:1",
            "a/blobs/uploads/1",
            "a/manifests/.x",
            "/tags/list",
            "tags/list",
            "a/referrers/x",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
    }
}
