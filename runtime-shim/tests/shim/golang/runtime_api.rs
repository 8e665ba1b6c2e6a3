//! A handler with `aws-lambda-go` unmodified: what it is told, what it answers, how it fails.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::setup;
use crate::harness::Language::{GoLambda, GoLambdaOfOne};
use crate::harness::http::Request;
use crate::harness::{Language, each};

fn versions() -> Vec<Language> {
    vec![GoLambda, GoLambdaOfOne]
}

#[test]
fn a_handler_answers_one_at_a_time_and_its_errors_are_500() {
    each(versions(), |language| {
        let shim = setup(language).start();
        assert_eq!((shim.ready.ready, shim.ready.max_concurrency), (true, 1), "{:?}", shim.ready);
        let answer = shim.call(Request::new("POST", "/p").body("hé"));
        assert_eq!((answer.status, answer.text()), (201, "hé/p"));
        assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
        let failed = shim.get("/fail");
        let expected = json!({"errorMessage": "boom", "errorType": "errorString"});
        assert_eq!((failed.status, failed.json()), (500, expected));
        let own = shim.get("/teapot");
        let expected = json!({"errorMessage": "it has 90 degrees", "errorType": "teapot"});
        assert_eq!((own.status, own.json()), (500, expected));
        let long = shim.get("/long").json();
        assert_eq!(long["errorMessage"].as_str().map(str::len), Some(500_000));
        assert_eq!(shim.get("/again").text(), "/again");
    });
}

#[test]
fn the_context_tells_the_request_its_deadline_and_its_trace() {
    let shim = setup(GoLambda)
        .set("SCW_TIMEOUT_MS", "20000")
        .set("SCW_APPLICATION_NAME", "fn-1")
        .set("SCW_APPLICATION_VERSION", "7")
        .set("SCW_APPLICATION_MEMORY", "512")
        .set("SCW_HANDLER", "cmd/x")
        .start();
    let request = Request::get("/call")
        .header("X-Request-Id", "request-1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let mut got = shim.call(request).json();
    let left = got["left"].take().as_i64().expect("milliseconds");
    assert!((1..=20_000).contains(&left), "{left}");
    let expected = json!({
        "id": "request-1", "arn": "arn:aws:lambda:local:000000000000:function:fn-1", "left": null,
        "trace": "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1",
        "name": "fn-1", "version": "7", "memory": 512, "handler": "cmd/x",
    });
    assert_eq!(got, expected);
    let id = shim.get("/call").json()["id"].as_str().map(str::len);
    assert_eq!(id, Some(36), "an id of our own is a UUID");
}

#[test]
fn the_event_is_what_the_library_reads() {
    let shim = setup(GoLambda).start();
    let request = Request::new("PUT", "/event?x=1&x=2").header("X-Tag", "1").header("x-tag", "2").body("hé");
    let got = shim.call(request).json()["event"].take();
    for (pointer, expected) in [
        ("/path", json!("/event")),
        ("/httpMethod", json!("PUT")),
        ("/multiValueHeaders/X-Tag", json!(["1", "2"])),
        ("/queryStringParameters/x", json!("2")),
        ("/multiValueQueryStringParameters/x", json!(["1", "2"])),
        ("/body", json!("hé")),
        ("/requestContext/resourcePath", json!("/{proxy+}")),
    ] {
        assert_eq!(got.pointer(pointer), Some(&expected), "{pointer}: {got}");
    }
}

#[test]
fn a_panic_is_500_with_its_stack_on_standard_error_and_the_next_request_is_served() {
    each(versions(), |language| {
        let shim = setup(language).start();
        let before = shim.get("/pid").text().to_owned();
        let answer = shim.get("/panic");
        let message = answer.json()["errorMessage"].as_str().map(str::to_owned);
        assert_eq!((answer.status, message.as_deref()), (500, Some("assignment to entry in nil map")));
        assert!(!answer.text().contains("main.go"), "no stack for the caller: {answer:?}");
        shim.logged("main.go");
        let after = shim.get("/pid");
        assert_eq!(after.status, 201);
        assert_ne!(after.text(), before, "the library ends the process after a panic");
    });
}

#[test]
fn a_process_that_ends_is_502_for_its_request_and_the_next_is_served() {
    each(versions(), |language| {
        let shim = setup(language).start();
        for (path, how) in [("/die", "status 3"), ("/fatal", "status 1")] {
            let answer = shim.get(path);
            assert_eq!(answer.status, 502, "{answer:?}");
            assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.WorkerKilled"));
            let message = answer.json()["errorMessage"].as_str().map(str::to_owned).unwrap_or_default();
            assert!(message.contains(how), "{message}");
            assert_eq!(shim.get("/again").text(), "/again");
        }
        shim.logged("the handler gives up");
    });
}

#[test]
fn a_handler_that_does_not_answer_is_504_and_replaced() {
    let shim = setup(GoLambda).set("SCW_TIMEOUT_MS", "300").start();
    let before = shim.get("/pid").text().to_owned();
    let answer = shim.get("/deaf");
    assert_eq!((answer.status, answer.json()["errorType"].as_str()), (504, Some("Runtime.TimedOut")));
    shim.logged("the worker is replaced");
    assert_ne!(shim.get("/pid").text(), before);
}

#[test]
fn a_start_that_fails_is_told_and_one_that_uses_neither_interface_hears_of_both() {
    let badly = setup(GoLambda).set("STARTS", "badly").start();
    badly.logged("no database");
    let and_ends = setup(GoLambda).set("STARTS", "and_ends").start();
    for (shim, status) in [(badly, 1), (and_ends, 0)] {
        assert!(!shim.ready.ready);
        let error = shim.ready.error.clone().unwrap_or_default();
        let status = format!("exited with status {status}");
        for part in [&status, "Lambda Runtime API", "aws-lambda-go", "scaleway-functions-go", "127.0.0.1:"] {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
    }
}

#[test]
fn at_sigterm_a_handler_that_wants_to_hear_of_it_does() {
    let shim = setup(GoLambda).set("STARTS", "with_sigterm").start();
    assert_eq!(shim.get("/again").text(), "/again");
    shim.signal(Signal::TERM);
    shim.logged("told to end");
    assert!(shim.ended().success());
}

#[test]
fn any_size_of_event_and_answer() {
    let shim = setup(GoLambda).set("SCW_TIMEOUT_MS", "60000").start();
    for length in [0, 1, 64, 1 << 10, (64 << 10) - 1, 1 << 20, 6 << 20] {
        let body = "é".repeat(length / 2) + &"x".repeat(length % 2);
        let answer = shim.call(Request::new("POST", "/p").body(body.clone()));
        assert!(answer.body.strip_suffix(b"/p") == Some(body.as_bytes()), "{length}: {}", answer.body.len());
    }
    let big = shim.get("/big?length=52428800");
    assert_eq!((big.status, big.body.len()), (201, 50 << 20));
    assert!(big.body.iter().all(|byte| *byte == b'x'));
}

#[test]
fn json_goes_through_as_the_handler_wrote_it() {
    let shim = setup(GoLambda).start();
    for json in [r#"{"b":1.0,"a":12345678901234567890123}"#, "[1,[2]]", "true"] {
        let answer = shim.call(Request::new("POST", "/json").body(json));
        assert_eq!((answer.status, answer.text()), (200, json));
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    }
    let nothing = shim.call(Request::new("POST", "/json").body("null"));
    assert_eq!((nothing.status, nothing.text()), (200, ""));
    let bad = shim.call(Request::new("POST", "/json").body(r#"{"statusCode":99}"#));
    assert_eq!(bad.status, 502);
    assert!(matches!(&bad.json()["errorMessage"], Value::String(text) if text.contains("99")), "{bad:?}");
}
