//! Which header decides, and what user code sees of it.

use std::net::TcpStream;

use serde_json::json;

use super::property::conversation;
use super::sign::{good_claims, token, with};
use super::{PKCS1, bearing, private, seen, setup};
use crate::harness::http::Request;
use crate::harness::{Language, Setup, free_port, until};

fn request(headers: &[(&str, &str)]) -> Request {
    headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(name, value))
}

#[test]
fn user_code_never_sees_the_token() {
    let shim = private();
    let good = token(&good_claims());
    for (headers, kept) in [
        (vec![("SCW-Functions-Token", &*good)], None),
        (vec![("scw-functions-token", &*good)], None),
        (vec![("SCW_FUNCTIONS_TOKEN", &*good)], None),
        (vec![("X-Auth-Token", &*good)], None),
        (
            vec![("SCW-Functions-Token", &*good), ("SCW_FUNCTIONS_TOKEN", "b"), ("X-Auth-Token", "c")],
            Some("c"),
        ),
        (vec![("X-Auth-Token", "c"), ("SCW_FUNCTIONS_TOKEN", &*good)], Some("c")),
        (vec![("SCW-Functions-Token", ""), ("X-Auth-Token", &*good)], None),
        (vec![("SCW-Functions-Token", " "), ("SCW_FUNCTIONS_TOKEN", ""), ("X-Auth-Token", &*good)], None),
    ] {
        let answer = shim.call(request(&headers));
        assert_eq!(answer.status, 200, "{headers:?} {answer:?}");
        assert!(!answer.text().contains(&good), "{headers:?}");
        assert!(!answer.text().to_lowercase().contains("functions"), "{headers:?}: {}", answer.text());
        assert_eq!(answer.json()["headers"]["X-Auth-Token"].as_str(), kept, "{headers:?}");
    }
}

#[test]
fn the_first_header_that_is_present_decides_even_when_a_later_one_is_good() {
    let shim = private();
    let good = token(&good_claims());
    for headers in [
        [("SCW-Functions-Token", "x"), ("SCW_FUNCTIONS_TOKEN", &*good)],
        [("SCW_FUNCTIONS_TOKEN", &*good), ("SCW-Functions-Token", "x")],
        [("SCW-Functions-Token", "x"), ("X-Auth-Token", &*good)],
        [("X-Auth-Token", &*good), ("SCW_FUNCTIONS_TOKEN", "x")],
    ] {
        assert_eq!(shim.call(request(&headers)).status, 401, "{headers:?}");
    }
    // And the other way round: a bad one behind the good one does no harm.
    assert_eq!(shim.call(bearing(&good).header("X-Auth-Token", "x")).status, 200);
    assert_eq!(seen(&shim), 1);
}

#[test]
fn a_header_given_twice_is_401_also_when_both_are_good_or_one_is_empty() {
    let shim = private();
    let good = token(&good_claims());
    for name in ["SCW-Functions-Token", "SCW_FUNCTIONS_TOKEN", "X-Auth-Token"] {
        for (first, second) in [(&*good, &*good), (&*good, ""), ("", &*good), (&*good, "x"), ("x", &*good)] {
            let lower = name.to_lowercase();
            let answer = shim.call(request(&[(name, first), (&lower, second)]));
            assert_eq!(answer.status, 401, "{name} {answer:?}");
        }
        let list = format!("{good}, {good}");
        assert_eq!(shim.call(request(&[(name, &list)])).status, 401, "a list is not two tokens");
    }
    assert_eq!(seen(&shim), 0);
}

#[test]
fn no_line_of_the_log_has_a_token() {
    let port: u16 = free_port().parse().expect("a port");
    let shim = setup(PKCS1).set("PORT", &port.to_string()).set("SCW_LOG_LEVEL", "debug").start_plain();
    until("the port takes connections", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let good = token(&good_claims());
    let (_, signature) = good.rsplit_once('.').expect("parts");
    let other = token(&with("application_claim", json!([{"namespace_id": "other"}])));
    for (token, status) in [(&*good, 200), (&*other, 403), (&*format!("{good}x"), 401), (&good[..200], 401)] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Auth-Token: {token}\r\n\r\n");
        assert_eq!(conversation(port, request.as_bytes()), [status]);
    }
    rustix::process::kill_process(shim.pid(), rustix::process::Signal::TERM).expect("a signal");
    let (_, stdout, stderr) = shim.ended();
    assert!(!stderr.is_empty(), "at this level something is said");
    for secret in [&good[..60], &signature[..40], &other[other.len() - 40..]] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout} {stderr}");
    }
}

#[test]
fn connection_cannot_name_the_token_away() {
    let shim = private();
    let good = token(&good_claims());
    let named =
        bearing(&good).header("Connection", "SCW-Functions-Token, X-Auth-Token").header("X-Auth-Token", "c");
    let answer = shim.call(named);
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains(&good));
}

#[test]
fn a_public_function_keeps_all_headers() {
    let source = "exports.handle = function (event) { return {body: {h: event.headers, a: event.requestContext.authorizer}}; };";
    let shim = Setup::new(Language::Node, source).start();
    let answer =
        shim.call(bearing("a").header("X-Auth-Token", "b").header("SCW_FUNCTIONS_TOKEN", "c")).json();
    let headers = &answer["h"];
    assert_eq!((&headers["Scw-Functions-Token"], &headers["X-Auth-Token"]), (&json!("a"), &json!("b")));
    assert!(answer["h"].to_string().to_lowercase().contains("scw_functions_token"));
    assert_eq!(answer["a"], json!(null));
}
