//! Who may call a private function: the whole table, over real connections.

mod forgeries;
mod headers;
mod keys;
mod libraries;
mod property;
mod sign;
mod status;
mod verdicts;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim};

const PKCS1: &str = include_str!("../keys/pkcs1.pem");
const SPKI: &str = include_str!("../keys/spki.pem");
const NAMESPACE: &str = "11111111-1111-4111-8111-111111111111";
const APPLICATION: &str = "22222222-2222-4222-8222-222222222222";
const OTHER: &str = "33333333-3333-4333-8333-333333333333";

/// A private function that answers what it sees of the request, and how many requests it has seen.
fn setup(public_key: &str) -> Setup {
    let source = "let seen = 0; exports.handle = function (event) { seen += 1; return {body: {seen,
        headers: event.headers, multi: event.multiValueHeaders, authorizer: event.requestContext.authorizer}}; };";
    Setup::new(Language::Node, source)
        .unset("SCW_PUBLIC")
        .set("SCW_PUBLIC_KEY", public_key)
        .set("SCW_NAMESPACE_ID", NAMESPACE)
        .set("SCW_APPLICATION_ID", APPLICATION)
}

fn private() -> Shim {
    setup(PKCS1).start()
}

fn bearing(token: &str) -> Request {
    Request::get("/").header("SCW-Functions-Token", token)
}

/// Refused with 401 and a reason that repeats nothing of the token, and the worker is not asked.
fn assert_unauthorized(shim: &Shim, what: &str, token: &str) {
    let answer = shim.call(bearing(token));
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Token.Invalid"), "{what}");
    let reason = answer.json()["errorMessage"].as_str().expect("a reason").to_owned();
    assert!(!reason.is_empty(), "{what}");
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!answer.text().contains(part), "{what}: {reason}");
    }
}

/// How many requests the worker has seen, this one left out.
fn seen(shim: &Shim) -> u64 {
    let answer = shim.call(bearing(&sign::token(&sign::good_claims())));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["seen"].as_u64().expect("a number") - 1
}
