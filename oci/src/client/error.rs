//! What can go wrong between the client and a registry.

use std::io;

use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::body::read_limited;
use super::guard::{Refused, Unknown};
use crate::digest::Digest;
use crate::layout::LayoutError;
use crate::reference::InvalidReference;

/// The longest error body that is read, in bytes.
const ERROR_BODY_MAX: u64 = 64 * 1024;
/// The longest error message that is passed on, in characters.
const MESSAGE_MAX: usize = 1000;

/// Why an operation against a registry failed. No variant holds a credential; URLs are given without their
/// query.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The reference is malformed.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// The reference has neither a tag nor a digest, and one is needed.
    #[error("{0} names neither a tag nor a digest")]
    NoTarget(String),
    /// The registry (or its token service) refused; `code` and `message` are its own words where it had any.
    #[error("{method} {url}: {status}{}", words(code, message))]
    Registry {
        /// The request's method.
        method: Method,
        /// The request's URL without its query.
        url: String,
        /// The status of the answer.
        status: StatusCode,
        /// The registry's error code (`MANIFEST_UNKNOWN`, ...); empty when it gave none.
        code: String,
        /// The registry's message; empty when it gave none.
        message: String,
    },
    /// No answer: connection refused, reset, or an answer cut short.
    #[error("{method} {url}: {reason}")]
    Transport {
        /// The request's method.
        method: Method,
        /// The request's URL without its query.
        url: String,
        /// What happened, with its causes.
        reason: String,
    },
    /// The guard does not let the client go there.
    #[error("{url}: {reason}")]
    Guarded {
        /// The URL without its query.
        url: String,
        /// Why not.
        reason: Refused,
    },
    /// The registry answered something the protocol does not allow, or the client does not follow.
    #[error("{url}: {reason}")]
    Protocol {
        /// The request's URL without its query.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// The content is not what its digest says.
    #[error("{what}: expected {expected}, received {found}")]
    DigestMismatch {
        /// Which content.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A layer that was to be uploaded could not be read.
    #[error("layer {digest} cannot be read: {reason}")]
    Layer {
        /// Which layer.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// The destination of a download could not be written.
    #[error("download of {digest} cannot be written: {source}")]
    Write {
        /// Which blob.
        digest: Digest,
        /// What the system said.
        source: io::Error,
    },
    /// The directory that an image is pulled into could not be written or read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The HTTP client could not be set up.
    #[error("HTTP client: {0}")]
    Setup(String),
}

impl ClientError {
    /// The status of the registry's refusal, when there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Registry { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Registry { status, .. } => super::retry::is_transient(*status),
            _ => false,
        }
    }

    pub(super) fn transport(method: &Method, url: &Url, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return Self::guarded(url, refused.clone());
            }
            if let Some(unknown) = error.downcast_ref::<Unknown>() {
                reason = unknown.to_string();
                break;
            }
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Self::Transport { method: method.clone(), url: shown(url), reason }
    }

    pub(super) fn guarded(url: &Url, reason: Refused) -> Self {
        Self::Guarded { url: shown(url), reason }
    }

    pub(super) fn timed_out(method: &Method, url: &Url) -> Self {
        Self::Transport { method: method.clone(), url: shown(url), reason: "no answer in time".to_owned() }
    }

    pub(super) fn protocol(url: &Url, reason: impl Into<String>) -> Self {
        Self::Protocol { url: shown(url), reason: reason.into() }
    }

    /// The refusal in this answer, with the registry's words.
    pub(super) async fn refusal(method: &Method, response: Response) -> Self {
        let (status, url) = (response.status(), shown(response.url()));
        // A refusal whose body cannot be read is still that refusal.
        let body = read_limited(response, method, ERROR_BODY_MAX).await.unwrap_or_default();
        let (code, message) = registry_words(&body);
        Self::Registry { method: method.clone(), url, status, code, message }
    }
}

/// A URL as errors and logs show it: queries may carry upload state or signatures.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

fn words(code: &str, message: &str) -> String {
    match (code, message) {
        ("", "") => String::new(),
        ("", text) | (text, "") => format!(": {text}"),
        (code, message) => format!(": {code}: {message}"),
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: serde_json::Value,
}

/// Code and message of an error body of the distribution specification; of any other body its first line.
fn registry_words(body: &[u8]) -> (String, String) {
    let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect::<String>();
    match serde_json::from_slice::<Errors>(body) {
        Ok(Errors { errors }) => {
            let Some(first) = errors.into_iter().next() else { return Default::default() };
            let detail = if first.detail.is_null() { String::new() } else { format!(" ({})", first.detail) };
            (cut(&first.code), cut(&format!("{}{detail}", first.message)))
        }
        Err(_) => (String::new(), cut(String::from_utf8_lossy(body).lines().next().unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_words_are_kept() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no","detail":{"k":1}}]}"#;
        assert_eq!(registry_words(body), ("DENIED".into(), r#"no ({"k":1})"#.into()));
        assert_eq!(registry_words(b"bad gateway\nx"), (String::new(), "bad gateway".into()));
        assert_eq!(registry_words(b""), Default::default());
    }

    #[test]
    fn shown_urls_have_no_secrets() {
        let url = Url::parse("https://u:p@h/v2/x?_state=secret#f").unwrap();
        assert_eq!(shown(&url), "https://h/v2/x");
    }
}
