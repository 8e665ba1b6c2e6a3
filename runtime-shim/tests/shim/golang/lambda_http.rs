//! Any other binary that speaks the Runtime API: one in Rust with `lambda_http` unmodified.

use serde_json::json;

use super::setup;
use crate::harness::Language::LambdaHttp;
use crate::harness::http::Request;

#[test]
fn a_rust_handler_is_served_like_any_other() {
    let shim = setup(LambdaHttp).set("SCW_APPLICATION_NAME", "fn-1").start();
    assert_eq!((shim.ready.ready, shim.ready.max_concurrency), (true, 1), "{:?}", shim.ready);
    let answer =
        shim.call(Request::new("POST", "/p?x=a%20b").header("Content-Type", "text/plain").body("hé"));
    assert_eq!((answer.status, answer.text()), (201, "hé/p"));
    assert_eq!(answer.header("x-query").as_deref(), Some("a b"));
    assert_eq!(answer.header("set-cookie").as_deref(), Some("a=1 | b=2"));
    let call = shim.call(Request::get("/call").header("X-Request-Id", "request-1"));
    assert_eq!(call.text(), "request-1 fn-1");
    let bytes: Vec<u8> = (0..=255).collect();
    let echoed = shim.call(Request::new("POST", "/").body(bytes.clone()));
    assert_eq!(echoed.body, bytes);
}

#[test]
fn its_errors_panics_and_end_cost_their_request() {
    let shim = setup(LambdaHttp).start();
    let failed = shim.get("/fail");
    assert_eq!((failed.status, &failed.json()["errorMessage"]), (500, &json!("boom")), "{failed:?}");
    let panicked = shim.get("/panic");
    assert_eq!(panicked.status, 500);
    assert!(panicked.text().contains("no way out"), "{panicked:?}");
    assert_eq!(shim.get("/die").status, 502);
    assert_eq!(shim.get("/again").text(), "/again");
}
