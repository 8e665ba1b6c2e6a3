//! Go programs of both forms: one that serves HTTP, and one with `aws-lambda-go` unmodified.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, free_port};

fn serves(language: Language, at_once: u32, port: &str) {
    let shim = Setup::new(language, "").set("SCW_UPSTREAM_PORT", port).start();
    assert_eq!((shim.ready.ready, shim.ready.max_concurrency), (true, at_once), "{:?}", shim.ready);
    let answer = shim.call(Request::new("POST", "/p").body("hé"));
    assert_eq!((answer.status, answer.text()), (201, "hé/p"));
    assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    let failed = shim.get("/fail");
    assert_eq!((failed.status, failed.json()["errorMessage"].as_str()), (500, Some("boom")), "{failed:?}");
    let died = shim.get("/die");
    assert_eq!(died.status, 502, "{died:?}");
    assert_eq!(died.header("x-zipship-error").as_deref(), Some("Runtime.WorkerKilled"));
    assert_eq!(shim.get("/again").text(), "/again");
}

#[test]
fn a_program_that_serves_http_itself() {
    serves(Language::GoHttp, 100, &free_port());
}

#[test]
fn a_program_with_the_lambda_library() {
    serves(Language::GoLambda, 1, &free_port());
}
