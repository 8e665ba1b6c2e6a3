//! Refusals, with the distribution specification's error codes.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use oci::Digest;

/// An answer that says no. `code` is one of the specification's table ("Error Codes").
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
            .with(WWW_AUTHENTICATE, "Basic realm=\"zipship\"")
    }

    pub(crate) fn denied(repository: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", format!("access to \"{repository}\" is denied"))
    }

    pub(crate) fn name_invalid(name: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", format!("\"{name}\" is not a repository name"))
    }

    pub(crate) fn name_unknown(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("repository \"{name}\" does not exist"))
    }

    pub(crate) fn blob_unknown(digest: &Digest) -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("blob {digest} is not in this repository"))
    }

    pub(crate) fn manifest_unknown(target: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            format!("manifest \"{target}\" is not in this repository"),
        )
    }

    pub(crate) fn manifest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(crate) fn manifest_blob_unknown(digest: &Digest) -> Self {
        let message = format!("the manifest names {digest}, which is not in this repository");
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message)
    }

    pub(crate) fn digest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(crate) fn digest_mismatch(expected: &Digest, found: &Digest) -> Self {
        Self::digest_invalid(format!("expected {expected}, received content of {found}"))
    }

    pub(crate) fn size_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message)
    }

    pub(crate) fn too_large(what: &str, limit: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "SIZE_INVALID",
            format!("{what} is longer than {limit} bytes"),
        )
    }

    pub(crate) fn over_quota(namespace: &str, left: u64, bytes: u64, quota: u64) -> Self {
        let message = format!(
            "\"{namespace}\" has room for {left} bytes of its quota of {quota}, not for {bytes} more; remove images that \
             nobody needs (zipship registry clean), or ask for a larger quota"
        );
        Self::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    pub(crate) fn in_use(digest: &Digest, reason: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", format!("manifest {digest} is in use: {reason}"))
    }

    pub(crate) fn upload_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "this upload is not known here (any more)")
    }

    pub(crate) fn upload_busy() -> Self {
        Self::new(StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID", "another request is writing to this upload")
    }

    pub(crate) fn upload_cut_short(reason: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", format!("the body ended early: {reason}"))
    }

    pub(crate) fn range_not_satisfiable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, code, message)
    }

    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
    }

    pub(crate) fn unsupported(message: impl Into<String>, status: StatusCode) -> Self {
        Self::new(status, "UNSUPPORTED", message)
    }

    /// A failure of the store: logged here with its cause, told to the caller without.
    pub(crate) fn store(error: &std::io::Error) -> Self {
        tracing::error!(%error, "the registry's store failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the registry's store failed")
    }

    /// Adds a header; one that cannot be a header's value is left out.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::store(&error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let body = serde_json::json!({"errors": [{"code": self.code, "message": self.message}]});
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(self.headers);
        response
    }
}
