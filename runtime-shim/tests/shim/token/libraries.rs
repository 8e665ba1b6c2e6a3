//! Tokens that others make with their own key pair: with the libraries that they have at hand.

#[path = "../../../../tests/clients/tokens.rs"]
mod clients;

use serde_json::json;

use super::sign::{OWN, good_claims, now, with};
use super::{assert_unauthorized, bearing, private, seen};
use crate::harness::{output, setting};

#[test]
fn tokens_made_by_libraries_of_three_languages_are_judged_like_the_platforms() {
    let shim = private();
    let sign = |claims| json!({"sign": claims, "key": OWN});
    let tasks = json!([
        sign(good_claims()),
        sign(with("exp", json!(now() - 1))),
        sign(with("application_claim", json!([{"namespace_id": "other"}]))),
    ]);
    let (clients, interpreters) = (setting("ZIPSHIP_CLIENTS"), setting("ZIPSHIP_INTERPRETERS"));
    for (library, mut command) in clients::commands(&clients, &interpreters, &tasks) {
        let answers = clients::answers(library, &output(&mut command));
        let tokens: Vec<_> = answers.iter().filter_map(|answer| answer["token"].as_str()).collect();
        let [good, expired, of_other] = tokens.as_slice() else { panic!("{library}: {answers:?}") };
        let answer = shim.call(bearing(good));
        assert_eq!(answer.status, 200, "{library}: {answer:?}");
        assert_eq!(answer.json()["authorizer"]["sub"], good_claims()["sub"], "{library}");
        assert_unauthorized(&shim, library, expired);
        assert_eq!(shim.call(bearing(of_other)).status, 403, "{library}");
    }
    assert_eq!(seen(&shim), 3);
}
