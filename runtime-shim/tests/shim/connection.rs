//! What belongs to one connection: its headers, upgrades, forms of the target, versions, and how long it waits.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim};

const EVENT: &str = "exports.handle = async function (event) { return {body: event}; };";

fn echo() -> Shim {
    Setup::new(Language::Node, EVENT).start()
}

/// Names of the headers that the handler sees, sorted.
fn seen(event: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = event["headers"].as_object().expect("headers").keys().map(|n| &**n).collect();
    names.sort_unstable();
    names
}

#[test]
fn headers_of_the_connection_do_not_reach_the_handler() {
    let request = Request::get("/")
        .header("Connection", "close, X-Private")
        .header("Connection", "x-other")
        .header("X-Private", "1")
        .header("X-OTHER", "2")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic x")
        .header("TE", "trailers")
        .header("Trailer", "X-Sum")
        .header("Upgrade", "h2c")
        .header("X-Kept", "3");
    assert_eq!(seen(&echo().call(request).json()), ["Host", "X-Kept"]);
}

#[test]
fn a_chunked_body_comes_without_its_framing_and_trailers() {
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                  3;x=y\r\none\r\n3\r\ntwo\r\n0\r\nX-Sum: 1\r\n\r\n";
    let (answer, connection) = echo().connect().expect("a listener").raw(bytes, "POST").response_and_rest();
    let event = answer.json();
    assert_eq!((seen(&event), &event["body"]), (vec!["Host"], &json!("onetwo")));
    drop(connection);
}

#[test]
fn web_sockets_are_refused_with_a_reason_and_never_switched_to() {
    let upgrade = Request::get("/chat")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = echo().call(upgrade);
    assert_eq!((answer.status, answer.interim.len()), (501, 0));
    assert_eq!(answer.json()["errorMessage"], "WebSocket and other upgrades are not served");
}

#[test]
fn http_2_by_upgrade_is_answered_in_http_1() {
    let upgrade = Request::get("/")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA");
    let answer = echo().call(upgrade);
    assert_eq!((answer.status, answer.interim.len(), answer.header("upgrade")), (200, 0, None));
    assert_eq!(answer.json()["requestContext"]["protocol"], "HTTP/1.1");
}

#[test]
fn tunnels_are_refused_and_what_is_meant_for_their_other_end_is_not_read() {
    let bytes = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nGET /tunneled HTTP/1.1\r\nHost: a\r\n\r\n";
    let shim = echo();
    let (answer, mut connection) = shim.connect().expect("a listener").raw(bytes, "POST").response_and_rest();
    assert_eq!((answer.status, answer.header("connection").as_deref()), (405, Some("close")));
    assert!(connection.closes());
}

#[test]
fn every_form_of_a_target_and_every_method_reaches_the_handler() {
    let shim = echo();
    for (method, target, path, raw, host) in [
        ("GET", "http://other.example:81/x%20y?a=b", "/x y", "/x%20y", "127.0.0.1:8080"),
        ("GET", "http://other.example", "/", "/", "127.0.0.1:8080"),
        ("OPTIONS", "*", "*", "*", "127.0.0.1:8080"),
        ("TRACE", "/t", "/t", "/t", "127.0.0.1:8080"),
        ("PROPFIND", "/a//../b/", "/a//../b/", "/a//../b/", "127.0.0.1:8080"),
    ] {
        let event = shim.call(Request::new(method, target)).json();
        let got = (
            &event["httpMethod"],
            &event["path"],
            &event["requestContext"]["path"],
            &event["headers"]["Host"],
        );
        assert_eq!(got, (&json!(method), &json!(path), &json!(raw), &json!(host)), "{method} {target}");
    }
}

#[test]
fn http_1_0_is_answered_and_closed_unless_the_caller_asks() {
    let shim = echo();
    for (keep, header) in [(false, ""), (true, "Connection: keep-alive\r\n")] {
        let bytes = format!("GET / HTTP/1.0\r\n{header}\r\n");
        let (answer, mut connection) =
            shim.connect().expect("a listener").raw(bytes.as_bytes(), "GET").response_and_rest();
        assert_eq!(answer.json()["requestContext"]["protocol"], "HTTP/1.0");
        if keep {
            assert_eq!(connection.raw(bytes.as_bytes(), "GET").response().status, 200);
        } else {
            assert!(connection.closes());
        }
    }
}

#[test]
fn a_connection_serves_many_requests() {
    let shim = echo();
    let mut connection = shim.connect().expect("a listener");
    for number in 0..200 {
        let (answer, rest) = connection.send(Request::get(&format!("/{number}"))).response_and_rest();
        assert_eq!(answer.json()["path"], json!(format!("/{number}")));
        connection = rest;
    }
    let (answer, mut connection) =
        connection.send(Request::get("/last").header("Connection", "close")).response_and_rest();
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
    assert!(connection.closes());
}

/// A proxy speaks for its callers only when it is named.
#[test]
fn a_caller_on_the_port_chooses_its_address_only_from_a_trusted_network() {
    let asks = || {
        let request = Request::get("/").header("X-Forwarded-For", "203.0.113.9, 10.1.1.1");
        request.header("X-Forwarded-Proto", "https")
    };
    for (trusted, source, passed) in [
        ("", "127.0.0.1", false),
        ("10.0.0.0/8", "127.0.0.1", false),
        ("10.0.0.0/8, 127.0.0.0/8", "203.0.113.9", true),
    ] {
        let setup = Setup::new(Language::Node, EVENT).set("SCW_TRUSTED_PROXIES", trusted);
        let event = setup.start_on_port().call(asks()).json();
        assert_eq!(event["requestContext"]["identity"]["sourceIp"], source, "{trusted:?}");
        let expected = if passed { json!(["203.0.113.9, 10.1.1.1"]) } else { Value::Null };
        assert_eq!(event["multiValueHeaders"]["X-Forwarded-For"], expected, "{trusted:?}");
        assert_eq!(event["headers"]["X-Forwarded-Proto"].is_string(), passed, "{trusted:?}");
    }
}

/// The caller that drips its head is cut off after 10 seconds of real time; others are served all the while.
#[test]
fn a_head_that_never_ends_is_given_up_and_holds_up_nobody() {
    let shim = Setup::new(Language::Node, EVENT).start_on_port();
    let began = Instant::now();
    let mut slow: Vec<_> = (0..50).map(|_| shim.connect().expect("a listener")).collect();
    for connection in &mut slow {
        connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n");
    }
    while began.elapsed() < Duration::from_secs(8) {
        slow[0].write(b"X-Drip: 1\r\n");
        assert_eq!(shim.get("/").status, 200);
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(slow.iter_mut().all(crate::harness::http::Connection::closes));
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn http_2(shim: &Shim) -> Sender {
    let stream: Box<dyn Stream> = match shim.port() {
        Some(address) => Box::new(tokio::net::TcpStream::connect(address).await.expect("a listener")),
        None => Box::new(tokio::net::UnixStream::connect(shim.socket()).await.expect("a listener")),
    };
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn post(sender: &mut Sender, request: hyper::http::request::Builder, body: Bytes) -> (u16, Bytes) {
    let request = request.body(Full::new(body)).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let origin = answer.headers().get("access-control-allow-origin").cloned();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    if status >= 400 {
        assert_eq!(origin.expect("a header of CORS"), "*", "{status}");
        let reason: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(reason["errorMessage"].is_string(), "{status}: {reason}");
    }
    (status, body)
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(crate::harness::DEADLINE, work).await }).expect("in time");
}

#[test]
fn http_2_with_prior_knowledge_is_served_on_every_socket() {
    let setup = || Setup::new(Language::Node, EVENT).set("SCW_PAYLOAD_MAX_SIZE", "100000");
    for shim in [setup().start(), setup().start_on_port()] {
        block_on(async {
            let mut sender = http_2(&shim).await;
            let request =
                hyper::Request::post("http://h.example/p?q=1").header("x-a", "1").header("x-a", "2");
            let (status, body) = post(&mut sender, request, Bytes::from("two")).await;
            let event: Value = serde_json::from_slice(&body).expect("JSON");
            let context = &event["requestContext"];
            assert_eq!(
                (status, &context["protocol"], &event["body"]),
                (200, &json!("HTTP/2.0"), &json!("two"))
            );
            assert_eq!((&event["path"], &event["headers"]["Host"]), (&json!("/p"), &json!("h.example")));
            assert_eq!(event["multiValueHeaders"]["X-A"], json!(["1", "2"]));
            // HTTP/1 beside it, on the same listener.
            assert_eq!(shim.get("/").json()["requestContext"]["protocol"], "HTTP/1.1");
        });
    }
}

#[test]
fn http_2_has_the_same_limits_and_a_refusal_ends_only_its_stream() {
    let setup = Setup::new(Language::Node, EVENT).set("SCW_PAYLOAD_MAX_SIZE", "100000");
    let shim = setup.set("SCW_HEADER_MAX_SIZE", "2000").start();
    block_on(async {
        let mut sender = http_2(&shim).await;
        let ask = || hyper::Request::post("http://h/");
        assert_eq!(post(&mut sender, ask(), Bytes::from(vec![b'x'; 100_000])).await.0, 200);
        assert_eq!(post(&mut sender, ask(), Bytes::from(vec![b'x'; 100_001])).await.0, 413);
        assert_eq!(post(&mut sender, ask().header("x-long", "x".repeat(2001)), Bytes::new()).await.0, 431);
        let connect = hyper::Request::builder().method("CONNECT").uri("h:1");
        assert_eq!(post(&mut sender, connect, Bytes::new()).await.0, 405);
        // Many streams at once on the connection that was refused something.
        let all = (0..50).map(|number: u32| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                let body = Bytes::from(number.to_string());
                let (status, answer) =
                    post(&mut sender, hyper::Request::post("http://h/"), body.clone()).await;
                let event: Value = serde_json::from_slice(&answer).expect("JSON");
                status == 200 && event["body"].as_str().map(str::as_bytes) == Some(&body)
            })
        });
        for one in all.collect::<Vec<_>>() {
            assert!(one.await.expect("a task"));
        }
    });
}
