//! Header names that the gateway and the shim speak to each other, and those of the token check.

/// Request id: the caller's when well-formed, else the gateway's own.
pub const X_REQUEST_ID: &str = "x-request-id";
/// Address of the caller, set anew by the gateway.
pub const X_FORWARDED_FOR: &str = "x-forwarded-for";
/// Host the caller asked for, set anew by the gateway.
pub const X_FORWARDED_HOST: &str = "x-forwarded-host";
/// `http` or `https`, set anew by the gateway.
pub const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
/// Path prefix the gateway has stripped, `/f/<id>`.
pub const X_FORWARDED_PREFIX: &str = "x-forwarded-prefix";
/// Nonce of a deploy's probe. The shim answers it 204, on inherited sockets only, before the token check.
pub const X_ZIPSHIP_PROBE: &str = "x-zipship-probe";
/// Added by the gateway to a probe's answer: id of the revision that answered.
pub const X_ZIPSHIP_REVISION: &str = "x-zipship-revision";
/// Added by the gateway to a probe's answer: digest of the image that answered.
pub const X_ZIPSHIP_IMAGE: &str = "x-zipship-image";
/// Marks the shim's own errors for the gateway, which strips it; a handler's header of that name is dropped.
pub const X_ZIPSHIP_ERROR: &str = "x-zipship-error";
/// The token headers, in the order in which the first present decides.
pub const TOKEN_HEADERS: [&str; 3] = ["scw-functions-token", "scw_functions_token", "x-auth-token"];

/// Whether a caller's request id is passed on: `[A-Za-z0-9_-]{1,64}`.
#[must_use]
pub fn is_request_id(value: &str) -> bool {
    (1..=64).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::is_request_id;

    #[test]
    fn request_ids_are_short_and_plain() {
        assert!(is_request_id("a-B_9"));
        assert!(is_request_id(&"x".repeat(64)));
        for bad in ["", "a b", "a\n", "é", &"x".repeat(65)] {
            assert!(!is_request_id(bad), "{bad:?}");
        }
    }
}
