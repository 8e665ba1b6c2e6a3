//! Requests that another server might read in another way: refused, and nothing behind them is read.

use serde::Deserialize;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim};

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Latin-1.
    bytes: String,
    /// Statuses in order. After a 400 the connection is closed; otherwise it serves another request.
    answers: Vec<u16>,
}

/// Answers with the paths of all requests that it has seen.
const SEEN: &str = "const seen = [];
exports.handle = async function (event) { seen.push(event.path); return {body: seen}; };";

fn check(shim: &Shim, case: &Case) {
    let name = &case.name;
    let bytes: Vec<u8> = case.bytes.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect();
    let mut connection = shim.connect().expect("a listener");
    connection.write(&bytes);
    for expected in &case.answers {
        let (answer, rest) = connection.raw(b"", "GET").response_and_rest();
        assert_eq!(answer.status, *expected, "{name}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some("*"), "{name}: {answer:?}");
        if *expected == 400 {
            assert!(answer.json()["errorMessage"].is_string(), "{name}: {answer:?}");
            assert_eq!(answer.header("connection").as_deref(), Some("close"), "{name}");
        }
        connection = rest;
    }
    if case.answers.last() == Some(&400) {
        assert!(connection.closes(), "{name}: the connection goes on");
    } else if !case.bytes.contains("HTTP/1.0") {
        assert_eq!(connection.send(Request::get("/after")).response().status, 200, "{name}");
    }
}

fn corpus() -> Vec<Case> {
    serde_json::from_str(include_str!("smuggling.json")).expect("cases")
}

#[test]
fn what_may_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read() {
    let shim = Setup::new(Language::Node, SEEN).start();
    let on_tcp = Setup::new(Language::Node, SEEN).start_on_tcp();
    let cases = corpus();
    assert!(cases.len() > 100, "{}", cases.len());
    for case in &cases {
        check(&shim, case);
    }
    // Over TCP what is unread when a connection closes could take the answer with it.
    for case in cases.iter().filter(|case| case.answers.contains(&400)).step_by(5) {
        check(&on_tcp, case);
    }
    for shim in [shim, on_tcp] {
        let seen: Vec<String> = serde_json::from_value(shim.get("/last").json()).expect("paths");
        assert!(seen.iter().all(|path| path != "/smuggled"), "{seen:?}");
    }
}

#[test]
fn a_violation_in_a_body_is_told_with_its_reason() {
    let shim = Setup::new(Language::Node, SEEN).start();
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    let answer = shim.connect().expect("a listener").raw(bytes, "POST").response();
    assert_eq!((answer.status, answer.header("connection").as_deref()), (400, Some("close")));
    assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Request.Framing"));
    assert_eq!(answer.json()["errorMessage"], "the size of a chunk is no hexadecimal number");
}

#[test]
fn a_body_that_breaks_off_reaches_no_handler() {
    let shim = Setup::new(Language::Node, SEEN).start();
    for framing in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut connection = shim.connect().expect("a listener");
        connection.write(format!("POST /broken HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        drop(connection);
    }
    assert_eq!(shim.get("/last").json(), serde_json::json!(["/last"]));
}

/// A pipeline of requests, cut anywhere: the answers are those of the whole.
#[test]
fn a_pipeline_is_answered_the_same_in_whatever_pieces_it_comes() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    let echo = "exports.handle = async function (event) { return event.body; };";
    let shim = Setup::new(Language::Node, echo).start();
    let bodies = prop::collection::vec("[a-z]{0,40}", 1..6);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(bodies, cuts, any::<u32>()), |(bodies, cuts, chunked)| {
        let mut bytes = Vec::new();
        for (at, body) in bodies.iter().enumerate() {
            bytes.extend(b"POST / HTTP/1.1\r\nHost: a\r\n");
            if chunked >> at & 1 == 0 || body.is_empty() {
                bytes.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes());
            } else {
                let (one, two) = body.split_at(1);
                bytes.extend(format!("Transfer-Encoding: chunked\r\n\r\n1\r\n{one}\r\n").into_bytes());
                if !two.is_empty() {
                    bytes.extend(format!("{:x};a=b\r\n{two}\r\n", two.len()).into_bytes());
                }
                bytes.extend(b"0\r\nX-Trailer: a\r\n\r\n");
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut connection = shim.connect().expect("a listener");
        for cut in cuts.windows(2) {
            connection.write(&bytes[cut[0]..cut[1]]);
            std::thread::yield_now();
        }
        for body in &bodies {
            let (answer, rest) = connection.raw(b"", "POST").response_and_rest();
            prop_assert_eq!((answer.status, answer.text()), (200, body.as_str()));
            connection = rest;
        }
        Ok(())
    });
    outcome.expect("the same answers");
}
