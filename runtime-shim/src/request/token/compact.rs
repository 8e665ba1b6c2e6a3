//! A JSON Web Signature in its compact form (RFC 7515), RS256 and nothing else.
//!
//! The algorithm is the configuration's, never the token's: the signature is checked before a byte of the token is
//! read as JSON, so whatever its header says (`none`, `HS256`, a key of its own) costs one verification at most.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json::{self, JsonError};
use super::key::Keys;

/// Longest token that is looked at, in bytes.
pub(super) const LONGEST: usize = 8 << 10;

/// Why a text is no valid token. Says nothing of what stands in it: it may be somebody's secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("the token is longer than {LONGEST} bytes")]
    TooLong,
    #[error("the token is no JWT: it has not three parts between dots")]
    Parts,
    #[error("the token is no JWT: its {0} is not base64url without padding")]
    Base64(&'static str),
    #[error("the token's signature is not this namespace's, or not RS256")]
    Signature,
    #[error("the token's {0} is no JSON object: {1}")]
    Json(&'static str, JsonError),
    #[error("the token's header does not say RS256")]
    Algorithm,
    #[error("the token's header wants an extension ({0}), and none is known")]
    Extension(&'static str),
    #[error("the token's {0} is no date")]
    Date(&'static str),
    #[error("the token is not valid yet ({0})")]
    NotYet(&'static str),
    #[error("the token has expired")]
    Expired,
}

/// The parts of a token. Nothing in them is believed yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// What is signed: header, dot, claims, as they came.
    message: &'a [u8],
    header: &'a [u8],
    claims: &'a [u8],
    signature: &'a [u8],
}

/// Exactly three parts, none of them empty.
pub(super) fn split(token: &[u8]) -> Result<Parts<'_>, Invalid> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Invalid::Parts);
    };
    if header.is_empty() || claims.is_empty() || signature.is_empty() {
        return Err(Invalid::Parts);
    }
    Ok(Parts { message: &token[..header.len() + 1 + claims.len()], header, claims, signature })
}

/// The claims of a token that one of the keys has signed.
pub(super) fn verified(token: &[u8], keys: &Keys) -> Result<Map<String, Value>, Invalid> {
    if token.len() > LONGEST {
        return Err(Invalid::TooLong);
    }
    let parts = split(token)?;
    let signature = decode(parts.signature, "signature")?;
    if !keys.have_signed(parts.message, &signature) {
        return Err(Invalid::Signature);
    }
    header(&decode(parts.header, "header")?)?;
    json::object(&decode(parts.claims, "claims")?).map_err(|error| Invalid::Json("claims", error))
}

/// Says RS256 and asks for nothing that is not known. Keys and addresses of keys in it are not looked at.
pub(super) fn header(bytes: &[u8]) -> Result<(), Invalid> {
    let header = json::object(bytes).map_err(|error| Invalid::Json("header", error))?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(Invalid::Algorithm);
    }
    // `b64` changes what is signed (RFC 7797), and must be listed in `crit`; alone it is refused all the same.
    match ["crit", "b64"].into_iter().find(|name| header.contains_key(*name)) {
        Some(name) => Err(Invalid::Extension(name)),
        None => Ok(()),
    }
}

/// Strict: no padding, no white space, no other alphabet, no bits set beyond the last byte.
fn decode(part: &[u8], what: &'static str) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Base64(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_and_none_empty() {
        let parts = split(b"ab.cd.ef").expect("three");
        assert_eq!((parts.message, parts.signature), (&b"ab.cd"[..], &b"ef"[..]));
        for bad in ["", ".", "..", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.", "a.b.c.d", ".a.b.c"] {
            assert_eq!(split(bad.as_bytes()), Err(Invalid::Parts), "{bad}");
        }
    }

    #[test]
    fn base64url_has_one_text_for_each_value() {
        assert_eq!(decode(b"-_8", "x"), Ok(vec![0xfb, 0xff]));
        // Padding, the other alphabet, bits beyond the end (`-_9`), a lone character, white space.
        for bad in ["-_8=", "+/8", "-_9", "-_8A-", "a", " -_8", "-_8\n", "-\n_8", "é"] {
            assert_eq!(decode(bad.as_bytes(), "x"), Err(Invalid::Base64("x")), "{bad:?}");
        }
    }

    #[test]
    fn a_header_says_rs256_and_asks_for_nothing() {
        for good in [
            r#"{"alg":"RS256"}"#,
            r#" {"typ":"JWT", "alg":"RS256", "kid":"../../etc/passwd", "jku":"http://a", "x5u":"http://a"} "#,
            r#"{"alg":"RS256","jwk":{"kty":"RSA","n":"AA","e":"AQAB"},"x5c":["AA=="],"zip":"DEF"}"#,
        ] {
            assert_eq!(header(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "none", "None", "NONE", "nOnE", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256", "RS256 ",
            "",
        ] {
            assert_eq!(header(format!(r#"{{"alg":"{bad}"}}"#).as_bytes()), Err(Invalid::Algorithm), "{bad}");
        }
        for bad in
            [r#"{}"#, r#"{"alg":null}"#, r#"{"alg":["RS256"]}"#, r#"{"Alg":"RS256"}"#, r#"{"alg":256}"#]
        {
            assert_eq!(header(bad.as_bytes()), Err(Invalid::Algorithm), "{bad}");
        }
        for (bad, name) in [
            (r#"{"alg":"RS256","crit":[]}"#, "crit"),
            (r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, "crit"),
            (r#"{"alg":"RS256","b64":false}"#, "b64"),
            (r#"{"alg":"RS256","b64":true}"#, "b64"),
            (r#"{"alg":"RS256","crit":["b64"],"b64":true}"#, "crit"),
        ] {
            assert_eq!(header(bad.as_bytes()), Err(Invalid::Extension(name)), "{bad}");
        }
        for bad in
            [r#"{"alg":"none","alg":"RS256"}"#, r#"{"alg":"RS256","alg":"RS256"}"#, "[]", "\"RS256\"", ""]
        {
            assert!(matches!(header(bad.as_bytes()), Err(Invalid::Json("header", _))), "{bad}");
        }
    }
}
