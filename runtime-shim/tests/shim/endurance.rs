//! What a shim must bear: floods, orphans, callers that come early or send two requests at once.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, until};

#[test]
fn ten_megabytes_on_one_line_hold_up_nothing() {
    let source =
        "exports.handle = async function (event) { console.log('x'.repeat(10 << 20)); return event.body; };";
    let body = "é".repeat(1 << 20);
    let answer =
        Setup::new(Language::Node, source).start().call(Request::new("POST", "/").body(body.clone()));
    assert_eq!((answer.status, answer.body == body.as_bytes()), (200, true), "{} bytes", answer.body.len());
}

#[test]
fn orphans_of_a_handler_are_reaped() {
    let source = "import subprocess\ndef handle(event, context):\n    \
                  subprocess.Popen(['/bin/sh', '-c', '(sleep 0.05 &) ; exit 0']).wait()\n    return 'fine'\n";
    let shim = Setup::new(Language::Python, source).start();
    for _ in 0..5 {
        assert_eq!(shim.get("/").text(), "fine");
    }
    let pid = shim.pid();
    until("no zombie is left", || zombies_of(pid) == 0);
}

fn zombies_of(parent: u32) -> usize {
    let stats = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let fields: Vec<String> = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
        Some((fields.first()?.clone(), fields.get(1)?.parse::<u32>().ok()?))
    });
    stats.filter(|(state, found)| state == "Z" && *found == parent).count()
}

#[test]
fn a_request_may_come_before_the_worker_is_up() {
    for (language, source) in [
        (Language::Node, "exports.handle = async function () { return 'early'; };"),
        (Language::Python, "def handle(event, context):\n    return 'early'\n"),
    ] {
        assert_eq!(Setup::new(language, source).start().get("/").text(), "early", "{language:?}");
    }
}

#[test]
fn two_requests_sent_at_once_are_answered_in_order() {
    let source = "exports.handle = async function (event) { return event.body; };";
    let shim = Setup::new(Language::Node, source).start();
    let both = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nonePOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwo";
    let (first, connection) = shim.connect().expect("a connection").raw(both, "POST").response_and_rest();
    assert_eq!((first.status, first.text()), (200, "one"));
    let second = connection.raw(b"", "POST").response();
    assert_eq!((second.status, second.text()), (200, "two"));
}

/// Paths and queries as they are on the wire: decoded once, never normalised, nothing lost.
#[test]
fn odd_paths_and_queries_reach_the_handler() {
    let source = "exports.handle = async function (event) {
        return {body: {path: event.path, query: event.queryStringParameters, headers: event.headers}}; };";
    let shim = Setup::new(Language::Node, source).start();
    for (path, seen) in [("//a/../b/", "//a/../b/"), ("/%FF/%C3%A9", "/%FF/é"), ("/a%2Fb", "/a/b")] {
        assert_eq!(shim.get(path).json()["path"], seen, "{path}");
    }
    let found = shim.get("/?a+b=c%20d&p=%2B&semi=1;2&bad=%zz&k").json();
    let expected = serde_json::json!({"a b": "c d", "p": "+", "semi": "1;2", "bad": "%zz", "k": ""});
    assert_eq!(found["query"], expected);
    let found = shim.call(Request::get("/").header("x-lower-CASE", "1")).json();
    assert_eq!(found["headers"]["X-Lower-Case"], "1", "{found}");
}
