//! The token check for the fuzzers: whatever the text, only the platform's own tokens pass.

use serde_json::{Map, Value};

use super::claims::{self, Owner};
use super::key::Keys;
use super::{Closed, compact, json};

/// When the corpus was made, in seconds since the epoch; its tokens have no end.
const NOW: f64 = 1_795_600_000.0;
/// A key of the tests: it is what the corpus was signed with.
const KEY: &str = include_str!("../../../tests/shim/keys/pkcs1.pem");

fn owner() -> Owner {
    Owner {
        namespace_id: "11111111-1111-4111-8111-111111111111".into(),
        application_id: "22222222-2222-4222-8222-222222222222".into(),
    }
}

/// The bytes as a token, as a key, as a header, and as claims whose signature was good.
///
/// # Panics
/// When the check does not keep a promise.
pub(crate) fn run(bytes: &[u8]) {
    token(bytes);
    let _ = compact::split(bytes);
    let _ = compact::header(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Keys::from_pem(text);
    }
    if let Ok(fields) = json::object(bytes) {
        let read: Option<Map<String, Value>> = serde_json::from_slice(bytes).ok();
        assert_eq!(read.as_ref(), Some(&fields), "what the strict parser takes, others read as the same");
        if let Ok(passed) = claims::judge(&fields, &owner(), NOW) {
            assert!(passed.is_valid_at(NOW), "what passes is valid now");
        }
    }
}

fn token(bytes: &[u8]) {
    let Ok(keys) = Keys::from_pem(KEY) else { panic!("the tests' key is good") };
    let closed = Closed::new(keys, owner());
    if closed.verdict(bytes, NOW).is_err() {
        return;
    }
    assert!(closed.verdict(bytes, NOW).is_ok(), "the kept verdict is the same");
    assert_eq!(bytes.iter().filter(|byte| **byte == b'.').count(), 2, "three parts");
    let is_known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    assert!(bytes.iter().all(is_known), "nothing but base64url and dots");
}
