//! No request without a valid token reaches the worker through `$PORT`: methods, paths, headers, framings, both
//! versions of HTTP, and tokens that are nearly right. The worker counts what it sees.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::sign::{good_claims, hs256, token, unsigned};
use super::{PKCS1, seen, setup};
use crate::harness::{DEADLINE, Shim};

const NAMES: [&str; 3] = ["SCW-Functions-Token", "SCW_FUNCTIONS_TOKEN", "X-Auth-Token"];

/// What is done to a good token. None of these leaves it good.
#[derive(Debug, Clone)]
enum Damage {
    FlipBit { at: prop::sample::Index, bit: u8 },
    CutAt(prop::sample::Index),
    Insert(prop::sample::Index, char),
    Drop(prop::sample::Index),
    Prefix(&'static str),
    Suffix(&'static str),
    Unsigned,
    Hs256,
    Random(String),
}

impl Damage {
    fn done_to(&self, good: &str) -> Vec<u8> {
        let mut bytes = good.as_bytes().to_vec();
        match self {
            Self::FlipBit { at, bit } => bytes[at.index(good.len())] ^= 1 << bit,
            Self::CutAt(at) => bytes.truncate(at.index(good.len())),
            Self::Insert(at, c) => bytes.insert(at.index(good.len() - 1) + 1, *c as u8),
            Self::Drop(at) => drop(bytes.remove(at.index(good.len()))),
            Self::Prefix(text) => bytes = [text.as_bytes(), &bytes].concat(),
            Self::Suffix(text) => bytes.extend_from_slice(text.as_bytes()),
            Self::Unsigned => bytes = format!("{}.", unsigned(r#"{"alg":"none"}"#)).into_bytes(),
            Self::Hs256 => bytes = hs256(PKCS1).into_bytes(),
            Self::Random(text) => bytes = text.clone().into_bytes(),
        }
        bytes
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        6 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::FlipBit { at, bit }),
        2 => at().prop_map(Damage::CutAt),
        2 => (at(), "[A-Za-z0-9._=,; -]").prop_map(|(at, c)| Damage::Insert(at, c.chars().next().unwrap_or('.'))),
        2 => at().prop_map(Damage::Drop),
        1 => prop::sample::select(vec!["Bearer ", "\"", "a.", "."]).prop_map(Damage::Prefix),
        1 => prop::sample::select(vec!["=", ".", ".a", ",", "\"", "A"]).prop_map(Damage::Suffix),
        1 => Just(Damage::Unsigned),
        1 => Just(Damage::Hs256),
        1 => "[!-~]{0,40}".prop_map(Damage::Random),
    ]
}

/// How a request tries to come without a valid token.
#[derive(Debug, Clone)]
enum Attempt {
    /// The good token where it does not count.
    Elsewhere(&'static str),
    /// One damaged token in one of the headers.
    Damaged(usize, Damage),
    /// A damaged token in an earlier header, the good one in a later.
    Shadowed(Damage),
    /// The good one twice in one header.
    Twice(usize),
    /// The good one in the trailers.
    Trailer,
    Nothing,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let elsewhere = [
        "Authorization",
        "Cookie",
        "X-Scw-Functions-Token",
        "SCW-Functions-Token-",
        "Scw.Functions.Token",
        "X-Forwarded-SCW-Functions-Token",
        "X_Auth_Token",
        "X-Zipship-Probe",
    ];
    prop_oneof![
        2 => prop::sample::select(elsewhere.to_vec()).prop_map(Attempt::Elsewhere),
        6 => (0..3_usize, damage()).prop_map(|(name, damage)| Attempt::Damaged(name, damage)),
        1 => damage().prop_map(Attempt::Shadowed),
        1 => (0..3_usize).prop_map(Attempt::Twice),
        1 => Just(Attempt::Trailer),
        1 => Just(Attempt::Nothing),
    ]
}

/// How the body is framed, and what else the connection asks for.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Bare,
    Length,
    Chunked,
    Expect,
}

#[derive(Debug, Clone)]
struct Ask {
    method: String,
    path: String,
    more: Vec<(String, String)>,
    attempt: Attempt,
    framing: Framing,
}

fn ask() -> impl Strategy<Value = Ask> {
    let method = prop_oneof![
        prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
            .prop_map(String::from),
        "[A-Z]{1,8}".prop_filter("not CONNECT, not HTTP/2's", |m| m != "CONNECT" && m != "PRI"),
    ];
    let path = prop_oneof![Just("*".to_owned()), "/[!-~&&[^#]]{0,30}", "http://h/[a-z/]{0,10}"];
    let more = prop::collection::vec(("X-[A-Za-z]{1,10}", "[ -~]{0,20}"), 0..4);
    let framing =
        prop::sample::select(vec![Framing::Bare, Framing::Length, Framing::Chunked, Framing::Expect]);
    (method, path, more, attempt(), framing).prop_map(|(method, path, more, attempt, framing)| Ask {
        method,
        path,
        more,
        attempt,
        framing,
    })
}

impl Ask {
    /// The headers of the attempt; values are bytes, since damage may leave ASCII.
    fn headers(&self, good: &str) -> Vec<(&str, Vec<u8>)> {
        // Damage that leaves nothing would let the next header decide.
        let bad = |damage: &Damage| match damage.done_to(good) {
            empty if empty.iter().all(u8::is_ascii_whitespace) => b"x".to_vec(),
            bad => bad,
        };
        match &self.attempt {
            Attempt::Elsewhere(name) => vec![(name, good.into())],
            Attempt::Damaged(name, damage) => vec![(NAMES[*name], bad(damage))],
            Attempt::Shadowed(damage) => vec![(NAMES[2], good.into()), (NAMES[0], bad(damage))],
            Attempt::Twice(name) => vec![(NAMES[*name], good.into()), (NAMES[*name], good.into())],
            Attempt::Trailer | Attempt::Nothing => Vec::new(),
        }
    }

    fn bytes(&self, good: &str, is_last: bool) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nHost: h\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.more {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        for (name, value) in self.headers(good) {
            out.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
        }
        if is_last {
            out.extend(b"Connection: close\r\n");
        }
        let is_chunked = matches!(self.framing, Framing::Chunked) || matches!(self.attempt, Attempt::Trailer);
        let framing = match self.framing {
            _ if is_chunked => {
                format!("Transfer-Encoding: chunked\r\nTrailer: {}\r\n\r\n3\r\nabc\r\n0\r\n", NAMES[0])
            }
            Framing::Expect => "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc".into(),
            Framing::Length => "Content-Length: 3\r\n\r\nabc".into(),
            Framing::Bare | Framing::Chunked => "\r\n".into(),
        };
        out.extend(framing.into_bytes());
        if matches!(self.attempt, Attempt::Trailer) {
            out.extend(format!("{}: {good}\r\n", NAMES[0]).into_bytes());
        }
        if is_chunked {
            out.extend(b"\r\n");
        }
        out
    }
}

/// Writes all, reads until the other side closes, and answers the statuses in order.
pub(super) fn conversation(port: u16, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a listener");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    // A connection that is reset after a refusal has ended too.
    let read = stream.read_to_end(&mut answer);
    assert!(read.map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true));
    let text = String::from_utf8_lossy(&answer);
    // Bodies of refusals are one line of JSON without this word.
    text.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().expect("a status")).collect()
}

/// The same ask over HTTP/2 with prior knowledge; `None` when its headers cannot be written there.
async fn over_http2(port: u16, ask: &Ask, good: &str) -> Option<u16> {
    let mut request =
        hyper::Request::builder().method(ask.method.as_bytes()).uri(format!("http://h{}", ask.path));
    for (name, value) in ask.headers(good) {
        request = request.header(name, hyper::header::HeaderValue::from_bytes(&value).ok()?);
    }
    let request = request.body(Full::new(Bytes::from_static(b"abc"))).ok()?;
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("a listener");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let driver = tokio::spawn(connection);
    // A stream that the server resets was not answered by the handler either.
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status().as_u16();
    drop(answer.into_body().collect().await);
    driver.abort();
    Some(status)
}

fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) || status == 501
}

#[test]
fn no_request_without_a_valid_token_reaches_the_worker_through_the_port() {
    let port: u16 = crate::harness::free_port().parse().expect("a port");
    let shim: Shim = setup(PKCS1).set("PORT", &port.to_string()).start_on_port();
    let good = token(&good_claims());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let over_both = Cell::new(0);
    let batches = prop::collection::vec(ask(), 1..5);
    let verdict = runner.run(&batches, |asks| {
        let last = asks.len() - 1;
        let bytes: Vec<u8> =
            asks.iter().enumerate().flat_map(|(at, ask)| ask.bytes(&good, at == last)).collect();
        let statuses = conversation(port, &bytes);
        prop_assert!(!statuses.is_empty() && statuses.len() <= asks.len(), "{statuses:?}");
        prop_assert!(statuses.iter().all(|status| is_refusal(*status)), "{statuses:?}");
        let second = async { tokio::time::timeout(DEADLINE, over_http2(port, &asks[0], &good)).await };
        let status = runtime.block_on(second).expect("an answer within the deadline");
        prop_assert!(status.is_none_or(is_refusal), "HTTP/2: {status:?}");
        over_both.set(over_both.get() + u32::from(status.is_some()));
        Ok(())
    });
    verdict.expect("every request is refused");
    assert!(over_both.get() > 100, "{} of 300 were answered over HTTP/2", over_both.get());
    // The same conversation with the token as it is: the checks above can fail.
    let valid = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{}: {good}\r\n\r\n", NAMES[0]);
    assert_eq!(conversation(port, valid.as_bytes()), [200]);
    assert_eq!(seen(&shim), 1, "the worker has seen that one and no other");
}
