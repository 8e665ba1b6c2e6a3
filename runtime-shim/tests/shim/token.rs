//! Who may call a private function: the whole table, over real connections.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim};

const PRIVATE: &str = include_str!("keys/private.pem");
const PKCS1: &str = include_str!("keys/pkcs1.pem");
const SPKI: &str = include_str!("keys/spki.pem");
const NAMESPACE: &str = "11111111-1111-4111-8111-111111111111";
const APPLICATION: &str = "22222222-2222-4222-8222-222222222222";
const OTHER: &str = "33333333-3333-4333-8333-333333333333";

fn private(public_key: &str) -> Shim {
    let source = "exports.handle = function (event) { return {body: {
        headers: event.headers, multi: event.multiValueHeaders, authorizer: event.requestContext.authorizer}}; };";
    Setup::new(Language::Node, source)
        .unset("SCW_PUBLIC")
        .set("SCW_PUBLIC_KEY", public_key)
        .set("SCW_NAMESPACE_ID", NAMESPACE)
        .set("SCW_APPLICATION_ID", APPLICATION)
        .start()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("a date")
}

fn claims(application_claim: Value) -> Value {
    json!({"iss": "zipship", "sub": APPLICATION, "aud": "a", "iat": now(), "nbf": now(), "jti": "j",
        "application_claim": application_claim})
}

fn good_claims() -> Value {
    claims(json!([{"namespace_id": NAMESPACE, "application_id": APPLICATION}]))
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn rsa(header: &Value, claims: &Value, how: &'static dyn RsaEncoding) -> String {
    let der: String = PRIVATE.lines().filter(|line| !line.starts_with("---")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).expect("base64")).expect("a key");
    let message = unsigned(header, claims);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(how, &ring::rand::SystemRandom::new(), message.as_bytes(), &mut signature).expect("signed");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn token(claims: &Value) -> String {
    rsa(&json!({"alg": "RS256", "typ": "JWT"}), claims, &RSA_PKCS1_SHA256)
}

fn hs256(secret: &str) -> String {
    let message = unsigned(&json!({"alg": "HS256", "typ": "JWT"}), &good_claims());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, message.as_bytes())))
}

fn with(claims: Value, name: &str, value: Value) -> Value {
    let mut claims = claims;
    claims[name] = value;
    claims
}

fn bearing(token: &str) -> Request {
    Request::get("/").header("SCW-Functions-Token", token)
}

#[test]
fn no_token_is_404_and_empty_also_for_a_preflight() {
    let shim = private(PKCS1);
    for request in [
        Request::get("/"),
        Request::new("OPTIONS", "/")
            .header("Origin", "http://a")
            .header("Access-Control-Request-Method", "GET"),
        bearing(""),
        Request::get("/").header("Authorization", &token(&good_claims())),
    ] {
        let answer = shim.call(request.clone());
        assert_eq!((answer.status, answer.text()), (404, ""), "{request:?}");
    }
}

#[test]
fn what_is_no_valid_token_is_401_with_a_reason() {
    let shim = private(PKCS1);
    let good = token(&good_claims());
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let altered = unsigned(&json!({"alg": "RS256"}), &claims(json!([{"namespace_id": OTHER}])));
    let none = |alg: &str| format!("{}.", unsigned(&json!({"alg": alg}), &good_claims()));
    for (what, token) in [
        ("no JWT", "x".to_owned()),
        ("two parts", message.to_owned()),
        ("bad signature", format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 256]))),
        ("another payload", format!("{altered}.{signature}")),
        ("none", none("none")),
        ("None", none("None")),
        ("HS256 with the key's text", hs256(PKCS1)),
        ("HS256 with the other text", hs256(SPKI)),
        ("RS384", rsa(&json!({"alg": "RS384"}), &good_claims(), &RSA_PKCS1_SHA384)),
        ("RS384 that calls itself RS256", rsa(&json!({"alg": "RS256"}), &good_claims(), &RSA_PKCS1_SHA384)),
        ("expired", self::token(&with(good_claims(), "exp", json!(now() - 1)))),
        ("not yet", self::token(&with(good_claims(), "nbf", json!(now() + 3600)))),
        ("issued later", self::token(&with(good_claims(), "iat", json!(now() + 3600)))),
        ("a date that is none", self::token(&with(good_claims(), "exp", json!("tomorrow")))),
        ("too long", "a".repeat(9000)),
        ("padded", format!("{good}=")),
        ("Bearer", format!("Bearer {good}")),
    ] {
        let answer = shim.call(bearing(&token));
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(!answer.json()["errorMessage"].as_str().expect("a reason").is_empty(), "{what}");
        assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Token.Invalid"), "{what}");
    }
}

#[test]
fn another_application_or_no_usable_claim_is_403() {
    let shim = private(PKCS1);
    let one = json!({"namespace_id": NAMESPACE});
    for claim in [
        json!([{"namespace_id": OTHER}]),
        json!([{"application_id": OTHER}]),
        json!([{"namespace_id": NAMESPACE, "application_id": OTHER}]),
        json!([{"namespace_id": OTHER, "application_id": APPLICATION}]),
        json!([{}]),
        json!([{"namespace_id": "", "application_id": ""}]),
        json!([]),
        json!([one, one]),
        json!(null),
        one.clone(),
        json!("x"),
    ] {
        let answer = shim.call(bearing(&token(&claims(claim.clone()))));
        assert_eq!(answer.status, 403, "{claim}: {answer:?}");
        assert!(!answer.json()["errorMessage"].as_str().expect("a reason").is_empty());
    }
}

#[test]
fn every_claim_that_names_only_this_one_passes_with_either_form_of_the_key() {
    for key in [PKCS1, SPKI, &PKCS1.replace('\n', "\\n")] {
        let shim = private(key);
        for claim in [
            json!([{"namespace_id": NAMESPACE, "application_id": APPLICATION}]),
            json!([{"application_id": APPLICATION}]),
            json!([{"namespace_id": NAMESPACE}]),
        ] {
            let claims = with(claims(claim), "exp", json!(now() + 3600));
            // Twice: the second time the verdict is remembered.
            for _ in 0..2 {
                let answer = shim.call(bearing(&token(&claims)));
                assert_eq!(answer.status, 200, "{claims}: {answer:?}");
                assert_eq!(answer.json()["authorizer"], claims);
            }
        }
    }
}

#[test]
fn user_code_never_sees_the_token() {
    let shim = private(PKCS1);
    let good = token(&good_claims());
    for (headers, kept) in [
        (vec![("SCW-Functions-Token", &*good)], None),
        (vec![("SCW_FUNCTIONS_TOKEN", &*good)], None),
        (vec![("X-Auth-Token", &*good)], None),
        (
            vec![("SCW-Functions-Token", &*good), ("SCW_FUNCTIONS_TOKEN", "b"), ("X-Auth-Token", "c")],
            Some("c"),
        ),
        (vec![("SCW-Functions-Token", ""), ("X-Auth-Token", &*good)], None),
    ] {
        let request = headers.iter().fold(Request::get("/"), |request, (n, v)| request.header(n, v));
        let answer = shim.call(request);
        assert_eq!(answer.status, 200, "{headers:?} {answer:?}");
        assert!(!answer.text().contains(&good), "{headers:?}");
        assert!(!answer.text().to_lowercase().contains("functions"), "{headers:?}: {}", answer.text());
        assert_eq!(answer.json()["headers"]["X-Auth-Token"].as_str(), kept, "{headers:?}");
    }
}

#[test]
fn the_first_header_decides_and_one_given_twice_is_401() {
    let shim = private(PKCS1);
    let good = token(&good_claims());
    let first_is_bad = bearing("x").header("X-Auth-Token", &good);
    assert_eq!(shim.call(first_is_bad).status, 401);
    assert_eq!(shim.call(bearing(&good).header("scw-functions-token", &good)).status, 401);
}

#[test]
fn a_public_function_keeps_all_headers() {
    let source = "exports.handle = function (event) { return {body: event.headers}; };";
    let shim = Setup::new(Language::Node, source).start();
    let answer = shim.call(bearing("a").header("X-Auth-Token", "b")).json();
    assert_eq!((&answer["Scw-Functions-Token"], &answer["X-Auth-Token"]), (&json!("a"), &json!("b")));
}
