use std::time::{Duration, UNIX_EPOCH};

use contract::event::is_request_id;
use hyper::Request;

use serde_json::Value;

use super::*;

fn event(request: Request<()>) -> Event {
    let now = UNIX_EPOCH + Duration::from_millis(1_795_435_200_000);
    let head = request.into_parts().0;
    Event::new(&head, super::super::id::of(&head.headers), "127.0.0.1", None, now)
}

fn value(request: Request<()>, body: &[u8]) -> Value {
    let json = event(request).with_body(&Bytes::copy_from_slice(body));
    assert!(json.is_ascii());
    serde_json::from_slice(&json).expect("JSON")
}

#[test]
fn the_golden_event() {
    let request = Request::post("/a%20b?x=1&x=2&y=")
        .header("host", "127.0.0.1:8080")
        .header("x-tag", "1")
        .header("x-tag", "2")
        .header("content-length", "3")
        .header("x-forwarded-for", "127.0.0.1")
        .header("x-forwarded-host", "127.0.0.1:8080")
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-prefix", "/f/0b5e7a52-3c5c-4b1e-9d0a-0e6f1f5b7c11")
        .header("x-request-id", "golden-1");
    let golden = include_str!("../../../golden/event.json");
    let golden: Value = serde_json::from_str(golden).expect("golden file");
    assert_eq!(value(request.body(()).expect("request"), "hé".as_bytes()), golden);
}

#[test]
fn bytes_survive_the_way_in() {
    let post = || Request::post("/").body(()).expect("request");
    let binary = value(post(), b"\xff\x00");
    assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&"/wA=".into(), &true.into()));
    let empty = value(post(), b"");
    assert_eq!((&empty["body"], &empty["isBase64Encoded"]), (&"".into(), &false.into()));
}

#[test]
fn queries_decode_as_forms_and_keep_what_they_cannot() {
    let got = value(Request::get("/?a+b=c%2Bd&e;f=g&&h&i=%zz&j=%ff").body(()).expect("request"), b"");
    let expected = serde_json::json!({"a b": "c+d", "e;f": "g", "h": "", "i": "%zz", "j": "%FF"});
    assert_eq!(got["queryStringParameters"], expected);
}

#[test]
fn absolute_and_empty_paths_and_connection_headers() {
    let request = Request::get("http://h:1//x/../%2F%ff")
        .header("te", "trailers")
        .header("connection", "x-private, close")
        .header("x-private", "1")
        .header("x-latin", hyper::header::HeaderValue::from_bytes(b"\xe9").expect("value"));
    let got = value(request.body(()).expect("request"), b"");
    assert_eq!(got["path"], "//x/..//%FF");
    assert_eq!(got["requestContext"]["path"], "//x/../%2F%ff");
    assert_eq!(got["headers"], serde_json::json!({"Host": "h:1", "X-Latin": "é"}));
    assert_eq!(value(Request::get("http://h").body(()).expect("request"), b"")["path"], "/");
}

#[test]
fn a_request_id_that_is_not_well_formed_is_replaced() {
    let request = Request::get("/").header("x-request-id", "a b").body(()).expect("request");
    let id = event(request).request_id;
    assert!(is_request_id(&id) && id.len() == 36, "{id}");
}

#[test]
fn many_parameters_keep_their_order_and_all_their_values() {
    let names: Vec<String> = (0..3000).map(|at| format!("n{}", at % 1000)).collect();
    let text: Vec<String> = names.iter().enumerate().map(|(at, name)| format!("{name}={at}")).collect();
    let got = value(Request::get(format!("/?{}", text.join("&"))).body(()).expect("request"), b"");
    let all = got["multiValueQueryStringParameters"].as_object().expect("a map");
    assert_eq!(all.len(), 1000);
    assert_eq!(all["n7"], serde_json::json!(["7", "1007", "2007"]));
    assert_eq!(got["queryStringParameters"]["n999"], "2999");
}

/// Header blocks of every shape are JSON, whether the first or the last of them is left out.
#[test]
fn maps_with_nothing_in_them_and_with_gaps() {
    for (names, kept) in [
        (&[][..], &[][..]),
        (&["te"], &[]),
        (&["te", "x-a", "x-a", "expect"], &["X-A"]),
        (&["x-a", "te", "x-b"], &["X-A", "X-B"]),
    ] {
        for uri in ["/", "http://h/"] {
            let request = names.iter().fold(Request::get(uri), |request, name| request.header(*name, "v"));
            let got = value(request.body(()).expect("request"), b"");
            let host = (uri != "/").then_some("Host");
            let expected: Vec<&str> = host.into_iter().chain(kept.iter().copied()).collect();
            for map in ["headers", "multiValueHeaders"] {
                let mut found: Vec<&str> =
                    got[map].as_object().expect("a map").keys().map(|k| &**k).collect();
                found.sort_unstable();
                assert_eq!(found, expected, "{names:?} {uri}");
            }
        }
    }
}
