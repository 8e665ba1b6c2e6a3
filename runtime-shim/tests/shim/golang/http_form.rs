//! A program that serves HTTP itself, as those with `scaleway-functions-go` do.

use serde_json::json;

use super::setup;
use crate::harness::Language::GoHttp;
use crate::harness::http::Request;
use crate::harness::{Setup, free_port, until};

#[test]
fn a_handler_answers_and_its_errors_are_500() {
    let shim = setup(GoHttp).start();
    assert_eq!((shim.ready.ready, shim.ready.max_concurrency), (true, 100), "{:?}", shim.ready);
    let answer = shim.call(Request::new("POST", "/p").body("hé"));
    assert_eq!((answer.status, answer.text()), (201, "hé/p"));
    assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    let failed = shim.get("/fail");
    assert_eq!((failed.status, &failed.json()["errorMessage"]), (500, &json!("boom")), "{failed:?}");
}

#[test]
fn the_program_is_told_its_handler_and_its_context() {
    let shim = setup(GoHttp)
        .set("SCW_HANDLER", "cmd/x")
        .set("SCW_APPLICATION_NAME", "fn-1")
        .set("SCW_APPLICATION_VERSION", "7")
        .set("SCW_APPLICATION_MEMORY", "512")
        .start();
    let expected = json!({
        "handlerName": "cmd/x", "handlerPath": "/home/app/function",
        "context": {"memoryLimitInMb": 512, "functionName": "fn-1", "functionVersion": "7"},
    });
    assert_eq!(shim.get("/call").json(), expected);
}

#[test]
fn a_panic_costs_its_request_alone_and_the_end_of_the_program_is_survived() {
    let shim = setup(GoHttp).start();
    let before = shim.get("/pid").text().to_owned();
    for path in ["/panic", "/half"] {
        let panicked = shim.get(path);
        assert_eq!(panicked.status, 502, "{path} {panicked:?}");
        assert_eq!(panicked.header("x-zipship-error").as_deref(), Some("Runtime.WorkerKilled"));
        assert_eq!(shim.get("/pid").text(), before, "the program is up");
    }
    shim.logged("no way out");
    let died = shim.get("/die");
    assert_eq!(died.status, 502, "{died:?}");
    shim.logged("exited with status 3");
    assert_eq!(shim.get("/again").text(), "/again");
}

#[test]
fn a_hundred_at_once_and_their_connections_are_kept() {
    let shim = setup(GoHttp).start();
    for _ in 0..2 {
        let all: Vec<_> = (0..64).map(|_| shim.send(Request::get("/meet64"))).collect();
        for sent in all {
            assert_eq!(sent.response().text(), "met");
        }
    }
    let count: usize = shim.get("/connections").text().parse().expect("a number");
    assert!((64..=100).contains(&count), "{count} connections for 129 requests, 64 at once");
}

#[test]
fn a_connection_that_the_program_closed_meanwhile_costs_nothing() {
    let port = free_port();
    let shim = setup(GoHttp).set("SCW_UPSTREAM_PORT", &port).set("IDLE_MS", "20").start();
    let port = format!(":{:04X} ", port.parse::<u16>().expect("a port"));
    for _ in 0..5 {
        assert_eq!(shim.get("/again").text(), "/again");
        until("the program has closed its idle connections", || {
            let sockets = std::fs::read_to_string("/proc/net/tcp").expect("sockets");
            !sockets.lines().any(|line| line.contains(&port) && line.contains(" 01 "))
        });
    }
}

#[test]
fn any_size_of_event_and_answer() {
    let shim = setup(GoHttp).set("SCW_TIMEOUT_MS", "60000").start();
    for length in [0, 1, 64, 1 << 10, (64 << 10) - 1, 1 << 20, 6 << 20] {
        let body = "é".repeat(length / 2) + &"x".repeat(length % 2);
        let answer = shim.call(Request::new("POST", "/p").body(body.clone()));
        assert!(answer.body.strip_suffix(b"/p") == Some(body.as_bytes()), "{length}: {}", answer.body.len());
    }
    let big = shim.get("/big");
    assert_eq!((big.status, big.body.len()), (200, 50 << 20));
}

#[test]
fn a_caller_that_waits_too_long_gets_504_and_the_others_go_on() {
    let shim = setup(GoHttp).set("SCW_TIMEOUT_MS", "300").start();
    let before = shim.get("/pid").text().to_owned();
    assert_eq!(shim.get("/deaf").status, 504);
    assert_eq!(shim.get("/pid").text(), before);
    shim.logged("the caller has gone");
}

#[test]
fn a_port_that_others_reach_is_warned_of_and_one_that_is_taken_is_told() {
    let everywhere = setup(GoHttp).set("ADDRESS", "").start();
    if std::fs::read_to_string("/proc/net/dev").expect("interfaces").lines().count() > 3 {
        everywhere.logged("of all interfaces");
    }
    let port = free_port();
    let _other = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port");
    let taken = Setup::new(GoHttp, "").set("SCW_UPSTREAM_PORT", &port).start();
    assert!(!taken.ready.ready);
    let error = taken.ready.error.clone().unwrap_or_default();
    assert!(error.contains(&port) && error.contains("SCW_UPSTREAM_PORT"), "{error}");
}
