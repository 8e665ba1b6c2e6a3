//! The response's head for the fuzzers.

use hyper::Method;
use hyper::body::Body as _;
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};

use super::answer::{Answer, Refusal, carry, respond};

/// # Panics
/// When the response to such an answer says what HTTP cannot carry, or what is the connection's to say.
pub(crate) fn run(result: &Result<Answer, Refusal>) {
    for method in [Method::GET, Method::HEAD] {
        let response = respond(&method, result.clone().map(Into::into).and_then(carry));
        let status = response.status().as_u16();
        assert!((200..=599).contains(&status), "status {status}");
        let headers = response.headers();
        assert!(!headers.contains_key(TRANSFER_ENCODING) && !headers.contains_key(CONNECTION), "{headers:?}");
        let is_bodiless = method == Method::HEAD || matches!(status, 204 | 304);
        assert!(!is_bodiless || response.body().size_hint().exact() == Some(0), "no body");
        assert!(method == Method::HEAD || !headers.contains_key(CONTENT_LENGTH), "the server counts it");
        for value in headers.values() {
            assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{value:?}");
        }
    }
}
