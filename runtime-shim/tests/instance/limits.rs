//! Limits and framing: what is refused before any handler runs.

use std::io::Write;

use crate::{
    http,
    world::{Language, Plan, Shim},
};

fn echo() -> Shim {
    let code = "module.exports.handle = async (event) => String(event.body.length);\n";
    let mut shim = Plan::new(Language::Node, code)
        .with("SCW_PAYLOAD_MAX_SIZE", "1000")
        .with("SCW_HEADER_MAX_SIZE", "4096")
        .inherited();
    assert!(shim.ready().ready);
    shim
}

#[test]
fn a_body_over_the_limit_is_413_however_it_is_framed() {
    let shim = echo();
    assert_eq!(shim.call("POST", "/", &[], &[b'x'; 1000]).text(), "1000");
    assert_eq!(shim.call("POST", "/", &[], &[b'x'; 1001]).status, 413);
    let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(0x3e9));
    let head = http::request("POST", "/", &[("Transfer-Encoding", "chunked")], b"");
    assert_eq!(http::send(shim.connect(), &head, chunk.as_bytes()).status, 413);
    let chunk = format!("3e8\r\n{}\r\n0\r\n\r\n", "x".repeat(1000));
    assert_eq!(http::send(shim.connect(), &head, chunk.as_bytes()).text(), "1000");
}

#[test]
fn headers_over_the_limit_are_431() {
    let shim = echo();
    let long = "x".repeat(5000);
    assert_eq!(shim.call("GET", "/", &[("X-Long", &long)], b"").status, 431);
}

#[test]
fn framing_that_could_smuggle_is_400() {
    let shim = echo();
    let heads = [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b",
    ];
    for head in heads {
        assert_eq!(http::send(shim.connect(), head, b"0\r\n\r\n").status, 400, "{head}");
    }
}

/// Both ways at once: chunks are what counts (RFC 9112 section 6.3), so nothing of the body is a second request.
#[test]
fn a_body_told_in_two_ways_is_read_as_chunks() {
    let shim = echo();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked";
    let answer = http::send(shim.connect(), head, b"2\r\nab\r\n0\r\n\r\n");
    assert!([200, 400].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.text().matches("HTTP/1.1").count(), 0, "{}", answer.text());
}

#[test]
fn two_requests_on_one_connection_are_answered_in_order() {
    let shim = echo();
    let mut stream = shim.connect();
    let two = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\naPOST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
               Content-Length: 2\r\n\r\nbb";
    stream.write_all(two.as_bytes()).unwrap();
    let first = http::read(stream);
    let text = first.text();
    assert!(first.status == 200 && text.starts_with('1') && text.ends_with('2'), "{text}");
}
