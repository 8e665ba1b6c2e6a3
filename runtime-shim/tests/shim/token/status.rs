//! The table of answers: 404, 401, 403, or the handler's.

use serde_json::json;

use super::sign::{claims, good_claims, now, token, with};
use super::{APPLICATION, NAMESPACE, OTHER, assert_unauthorized, bearing, private, seen};
use crate::harness::http::Request;

#[test]
fn no_token_is_404_and_empty_also_for_a_preflight() {
    let shim = private();
    for request in [
        Request::get("/"),
        Request::new("OPTIONS", "/")
            .header("Origin", "http://a")
            .header("Access-Control-Request-Method", "GET"),
        bearing(""),
        bearing(" \t "),
        Request::get("/").header("Authorization", &token(&good_claims())),
        Request::get("/").header("Cookie", &format!("SCW-Functions-Token={}", token(&good_claims()))),
        Request::get(&format!("/?SCW-Functions-Token={}", token(&good_claims()))),
    ] {
        let answer = shim.call(request.clone());
        assert_eq!((answer.status, answer.text()), (404, ""), "{request:?}");
    }
    assert_eq!(seen(&shim), 0);
}

#[test]
fn a_token_is_valid_between_its_dates_with_leeway_for_the_start_only() {
    let shim = private();
    for (what, claims) in [
        ("expired", with("exp", json!(now() - 1))),
        ("expired this second", with("exp", json!(now()))),
        ("not yet", with("nbf", json!(now() + 70))),
        ("issued later", with("iat", json!(now() + 70))),
        ("expired long ago", with("exp", json!(0))),
    ] {
        assert_unauthorized(&shim, what, &token(&claims));
    }
    for (what, claims) in [
        ("starts within the leeway", with("nbf", json!(now() + 50))),
        ("issued by a clock that is ahead", with("iat", json!(now() + 50))),
        ("a date with a fraction", with("exp", json!(1.5e9 + 0.5 + 2e9))),
    ] {
        assert_eq!(shim.call(bearing(&token(&claims))).status, 200, "{what}");
    }
}

#[test]
fn what_is_no_date_is_401() {
    let shim = private();
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!(null),
            json!("tomorrow"),
            json!((now() + 1000).to_string()),
            json!(true),
            json!([now() + 1000]),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(i64::MIN),
        ] {
            assert_unauthorized(&shim, &format!("{name} {value}"), &token(&with(name, value)));
        }
        // Beyond what a double holds, and beyond 64 bits: such claims are text here.
        for number in ["1e400", "-1e400", "18446744073709551616", "99999999999999999999999999"] {
            let text = with(name, json!(12345)).to_string().replace("12345", number);
            let forged = super::sign::signed(r#"{"alg":"RS256"}"#, text);
            assert_unauthorized(&shim, &format!("{name} {number}"), &forged);
        }
    }
}

#[test]
fn another_application_or_no_usable_claim_is_403() {
    let shim = private();
    let one = json!({"namespace_id": NAMESPACE});
    for claim in [
        json!([{"namespace_id": OTHER}]),
        json!([{"application_id": OTHER}]),
        json!([{"namespace_id": NAMESPACE, "application_id": OTHER}]),
        json!([{"namespace_id": OTHER, "application_id": APPLICATION}]),
        json!([{"namespace_id": NAMESPACE.to_uppercase().replace('1', "A")}]),
        json!([{"namespace_id": format!("{NAMESPACE} ")}]),
        json!([{"namespace_id": APPLICATION, "application_id": NAMESPACE}]),
        json!([{}]),
        json!([{"namespace_id": "", "application_id": ""}]),
        json!([{"namespace_id": null, "application_id": null}]),
        json!([{"namespace_id": 1}]),
        json!([{"namespace_id": NAMESPACE, "application_id": [APPLICATION]}]),
        json!([[NAMESPACE, APPLICATION]]),
        json!([]),
        json!([one, one]),
        json!([one, {"namespace_id": OTHER}]),
        json!(null),
        one.clone(),
        json!("x"),
    ] {
        let answer = shim.call(bearing(&token(&claims(claim.clone()))));
        assert_eq!(answer.status, 403, "{claim}: {answer:?}");
        assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Token.Forbidden"), "{claim}");
        assert!(!answer.json()["errorMessage"].as_str().expect("a reason").is_empty());
    }
    let mut without = good_claims();
    without.as_object_mut().expect("an object").remove("application_claim");
    assert_eq!(shim.call(bearing(&token(&without))).status, 403);
    assert_eq!(seen(&shim), 0);
}

#[test]
fn every_claim_that_names_only_this_one_passes_and_the_handler_sees_the_claims() {
    let shim = private();
    for claim in [
        json!([{"namespace_id": NAMESPACE, "application_id": APPLICATION}]),
        json!([{"application_id": APPLICATION}]),
        json!([{"namespace_id": NAMESPACE}]),
    ] {
        let mut claims = claims(claim);
        claims["exp"] = json!(now() + 3600);
        claims["more"] = json!({"text": "h\u{e9} \u{1f600} \" \\ \u{7}", "n": [1, -2.5, null, true]});
        // Twice: the second time the verdict is remembered.
        for _ in 0..2 {
            let answer = shim.call(bearing(&token(&claims)));
            assert_eq!(answer.status, 200, "{claims}: {answer:?}");
            assert_eq!(answer.json()["authorizer"], claims);
        }
    }
}

#[test]
fn audience_issuer_and_subject_are_not_looked_at() {
    let shim = private();
    for (name, value) in
        [("aud", json!(["x", "y"])), ("aud", json!(null)), ("iss", json!(1)), ("sub", json!(""))]
    {
        assert_eq!(shim.call(bearing(&token(&with(name, value.clone())))).status, 200, "{name} {value}");
    }
}
