//! Tokens, good and forged.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use super::{APPLICATION, NAMESPACE};

/// The namespace's private key.
pub(super) const OWN: &str = include_str!("../keys/private.pem");
/// A key of somebody else, or the next one of the namespace.
pub(super) const SECOND: &str = include_str!("../keys/second_private.pem");
const CURVE: &str = include_str!("../keys/ec_private.pem");

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("a date")
}

pub(super) fn claims(application_claim: Value) -> Value {
    json!({"iss": "zipship", "sub": APPLICATION, "aud": "a", "iat": now(), "nbf": now(), "jti": "j",
        "application_claim": application_claim})
}

pub(super) fn good_claims() -> Value {
    claims(json!([{"namespace_id": NAMESPACE, "application_id": APPLICATION}]))
}

pub(super) fn with(name: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[name] = value;
    claims
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn der(pem: &str) -> Vec<u8> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    STANDARD.decode(base64).expect("base64")
}

pub(super) fn rsa_signature(message: &str, how: &'static dyn RsaEncoding, private_key: &str) -> Vec<u8> {
    let key = RsaKeyPair::from_pkcs8(&der(private_key)).expect("a key");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(how, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("signed");
    signature
}

/// Header and claims as they are given, bytes and all, under a good signature.
pub(super) fn signed(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    signed_text(&format!("{}.{}", encode(header), encode(claims)))
}

/// Whatever stands before the second dot, under a good signature.
pub(super) fn signed_text(message: &str) -> String {
    format!("{message}.{}", encode(rsa_signature(message, &RSA_PKCS1_SHA256, OWN)))
}

/// Another way to sign, or another key, with whatever the header says.
pub(super) fn rsa(header: &Value, how: &'static dyn RsaEncoding, private_key: &str) -> String {
    let message = format!("{}.{}", encode(header.to_string()), encode(good_claims().to_string()));
    let signature = rsa_signature(&message, how, private_key);
    format!("{message}.{}", encode(signature))
}

pub(super) fn token(claims: &Value) -> String {
    signed(r#"{"alg":"RS256","typ":"JWT"}"#, claims.to_string())
}

pub(super) fn unsigned(header: &str) -> String {
    format!("{}.{}", encode(header), encode(good_claims().to_string()))
}

pub(super) fn hs256(secret: &str) -> String {
    let message = unsigned(r#"{"alg":"HS256","typ":"JWT"}"#);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", encode(ring::hmac::sign(&key, message.as_bytes())))
}

pub(super) fn es256(header: &str) -> String {
    let message = unsigned(header);
    let random = SystemRandom::new();
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(CURVE), &random).expect("a key");
    format!("{message}.{}", encode(key.sign(&random, message.as_bytes()).expect("signed")))
}
