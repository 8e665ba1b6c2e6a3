//! Private functions: what is let in, what is answered to the rest, and that no token reaches the handler.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair},
};
use serde_json::{Value, json};

use crate::world::{Language, Plan, Shim};

pub(crate) const PKCS1: &str = include_str!("keys/pkcs1.pem");
const SPKI: &str = include_str!("keys/spki.pem");
const PRIVATE: &str = include_str!("keys/private.pem");
const ECHO: &str = "module.exports.handle = async (event) => ({body: event});\n";

pub(crate) fn private(key: &str) -> Plan {
    Plan::new(Language::Node, ECHO)
        .with("SCW_PUBLIC", "false")
        .with("SCW_PUBLIC_KEY", key)
        .with("SCW_NAMESPACE_ID", "ns")
        .with("SCW_APPLICATION_ID", "app")
}

fn started(key: &str) -> Shim {
    let mut shim = private(key).inherited();
    assert!(shim.ready().ready);
    shim
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn claims(claim: &Value) -> Value {
    json!({"iss": "zipship", "sub": "x", "aud": "functions", "iat": now() - 5, "nbf": now() - 5, "jti": "1",
        "application_claim": claim})
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value) -> String {
    let der: String = PRIVATE.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(der).unwrap();
    let key = RsaKeyPair::from_pkcs8(&der).unwrap();
    let message = format!("{}.{}", encode(header), encode(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    let padding: &dyn ring::signature::RsaEncoding =
        if header["alg"] == "RS512" { &RSA_PKCS1_SHA512 } else { &RSA_PKCS1_SHA256 };
    key.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn token(claim: &Value) -> String {
    signed(&json!({"alg": "RS256", "typ": "JWT"}), &claims(claim))
}

fn with(name: &str, value: Value) -> String {
    let mut claims = claims(&json!([{"namespace_id": "ns"}]));
    claims[name] = value;
    signed(&json!({"alg": "RS256"}), &claims)
}

fn status(shim: &Shim, headers: &[(&str, &str)]) -> u16 {
    let answer = shim.call("GET", "/", headers, b"");
    if [401, 403].contains(&answer.status) {
        assert!(!answer.json()["errorMessage"].as_str().unwrap().is_empty(), "{}", answer.text());
    }
    answer.status
}

#[test]
fn only_a_good_token_passes_and_no_token_is_404() {
    let shim = started(PKCS1);
    let none = shim.get("/");
    assert_eq!((none.status, none.body.len()), (404, 0));
    assert_eq!(shim.call("OPTIONS", "/", &[("Origin", "https://a.example")], b"").status, 404);
    for claim in [
        json!([{"namespace_id": "ns"}]),
        json!([{"application_id": "app"}]),
        json!([{"namespace_id": "ns", "application_id": "app"}]),
    ] {
        assert_eq!(status(&shim, &[("SCW-Functions-Token", &token(&claim))]), 200, "{claim}");
    }
    for claim in [
        json!([{"namespace_id": "other"}]),
        json!([{"application_id": "other"}]),
        json!([{"namespace_id": "ns", "application_id": "other"}]),
        json!([{"namespace_id": "other", "application_id": "app"}]),
        json!([]),
        json!([{}]),
        json!([{"namespace_id": "", "application_id": ""}]),
        json!([{"namespace_id": "ns"}, {"namespace_id": "ns"}]),
    ] {
        assert_eq!(status(&shim, &[("SCW-Functions-Token", &token(&claim))]), 403, "{claim}");
    }
}

#[test]
fn what_is_no_token_of_ours_is_401() {
    let shim = started(PKCS1);
    let good = token(&json!([{"namespace_id": "ns"}]));
    let claim = claims(&json!([{"namespace_id": "ns"}]));
    let body = encode(&claim);
    let unsigned = format!("{}.{body}.", encode(&json!({"alg": "none"})));
    let mut changed = good.clone().into_bytes();
    let last = changed.len() - 10;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    let hmac = {
        let message = format!("{}.{body}", encode(&json!({"alg": "HS256"})));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, PKCS1.as_bytes());
        let tag = ring::hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let cases = [
        ("no JWT", "hello".to_owned()),
        ("unsigned", unsigned),
        ("HS256 with the public key as secret", hmac),
        ("RS512", signed(&json!({"alg": "RS512"}), &claim)),
        ("a changed signature", String::from_utf8(changed).unwrap()),
        ("expired", with("exp", json!(now() - 3600))),
        ("an end that is no number", with("exp", json!("soon"))),
        ("not yet valid", with("nbf", json!(now() + 3600))),
        ("four parts", format!("{good}.x")),
        ("a very long one", "a".repeat(20_000)),
    ];
    for (what, token) in cases {
        assert_eq!(status(&shim, &[("SCW-Functions-Token", &token)]), 401, "{what}");
    }
    assert_eq!(status(&shim, &[("SCW-Functions-Token", &with("exp", json!(now() + 3600)))]), 200);
    let twice = [("SCW-Functions-Token", good.as_str()), ("SCW-Functions-Token", good.as_str())];
    assert_eq!(status(&shim, &twice), 401);
}

#[test]
fn the_first_header_that_is_there_decides_and_the_handler_sees_no_token() {
    let shim = started(SPKI);
    let good = token(&json!([{"application_id": "app"}]));
    for name in ["SCW-Functions-Token", "SCW_FUNCTIONS_TOKEN", "X-Auth-Token"] {
        let answer = shim.call("GET", "/", &[(name, &good), ("X-Other", "kept")], b"");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(!answer.text().contains(&good), "{name} reaches the handler");
        assert_eq!(answer.json()["headers"]["X-Other"], "kept");
        let authorizer = &answer.json()["requestContext"]["authorizer"];
        assert_eq!(authorizer["application_claim"][0]["application_id"], "app", "{authorizer}");
    }
    let first_is_bad = [("SCW-Functions-Token", "bad"), ("X-Auth-Token", good.as_str())];
    assert_eq!(status(&shim, &first_is_bad), 401);
    let first_is_empty = [("SCW-Functions-Token", ""), ("SCW_FUNCTIONS_TOKEN", good.as_str())];
    assert_eq!(status(&shim, &first_is_empty), 200);
    // X-Auth-Token did not decide: it is the handler's.
    let answer = shim.call("GET", "/", &[("SCW-Functions-Token", &good), ("X-Auth-Token", "mine")], b"");
    assert_eq!(answer.json()["headers"]["X-Auth-Token"], "mine");
}

#[test]
fn a_public_function_keeps_all_headers() {
    let mut shim = Plan::new(Language::Node, ECHO).inherited();
    assert!(shim.ready().ready);
    let answer = shim.call("GET", "/", &[("SCW-Functions-Token", "mine"), ("X-Auth-Token", "too")], b"");
    assert_eq!(answer.json()["headers"]["Scw-Functions-Token"], "mine", "{}", answer.text());
    assert_eq!(answer.json()["headers"]["X-Auth-Token"], "too");
}
