use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{advance, timeout};

use super::super::PATIENCE;
use super::*;

const LONGEST_HEAD: usize = 80_000;
/// Longer than a head may take.
const SLOW: Duration = Duration::from_secs(50);

/// A server with the guard before it, which answers 200 (`/slow` after [`SLOW`]) with the length of what it read, and 400 where that breaks
/// off or is refused. Its answers are marked. The other end, and the refusals.
fn serve(patience: Option<Patience>) -> (DuplexStream, Arc<Mutex<Vec<Violation>>>) {
    let (ours, theirs) = duplex(1 << 20);
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let noted = refusals.clone();
    let on_refusal = move |violation| noted.lock().expect("list").push(violation);
    let guarded = Guarded::new(theirs, LONGEST_HEAD, patience, on_refusal);
    let service = service_fn(|request: Request<hyper::body::Incoming>| async {
        let is_refused = is_stand_in(&request);
        if request.uri().path() == "/slow" {
            tokio::time::sleep(SLOW).await;
        }
        let (status, length) = match request.into_body().collect().await {
            Ok(body) if !is_refused => (200, body.to_bytes().len()),
            _ => (400, 0),
        };
        let response = Response::builder().status(status).header("x-ours", "1");
        let response = if status == 400 { response.header("connection", "close") } else { response };
        Ok::<_, Infallible>(response.body(Full::new(Bytes::from(length.to_string()))).expect("a response"))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    let idle = patience.map(|patience| patience.idle);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(LONGEST_HEAD + 10_000);
    tokio::spawn(
        async move { builder.serve_connection(TokioIo::new(guarded), service).await.map_err(|_| ()) },
    );
    (ours, refusals)
}

async fn answers(mut client: DuplexStream) -> String {
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.expect("the end");
    String::from_utf8_lossy(&all).into_owned()
}

/// What comes back for bytes that come in two pieces.
async fn answers_to(bytes: &[u8], cut: usize) -> String {
    let (mut client, _) = serve(None);
    for piece in [&bytes[..cut], &bytes[cut..]] {
        // The other end may have closed.
        let _ = client.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    let _ = client.shutdown().await;
    answers(client).await
}

/// Every final answer to these bytes is the service's: the server itself refuses nothing.
async fn are_ours(bytes: &[u8], cut: usize) -> bool {
    let text = answers_to(bytes, cut).await;
    let finals = text.matches("HTTP/1.").count() - text.matches("HTTP/1.1 100 ").count();
    finals == text.matches("x-ours: 1").count()
}

fn with_target(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()
}

fn with_header(line: &[u8]) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat()
}

#[tokio::test]
async fn the_server_itself_refuses_nothing_that_a_caller_can_send() {
    let mut all = Vec::new();
    for byte in 0..=u8::MAX {
        for target in [
            &[byte][..],
            &[b'/', byte],
            &[b'a', byte],
            &[b'/', b'#', byte],
            b"http://a",
            b"http://a/#",
            b"//",
            &[byte, b':', b'/', b'/', b'a'],
        ] {
            all.push(with_target(target));
            all.push(with_target(&[target, &[byte]].concat()));
        }
        all.push(with_header(&[b'X', byte, b':', b'a']));
        all.push(with_header(&[b'X', b':', byte, b'a', byte]));
        all.push([&[byte][..], b" / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        all.push([b"G", &[byte][..], b"T / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        all.push([b"GET / HTTP/1.", &[byte][..], b"\r\nHost: a\r\n\r\n"].concat());
    }
    for length in [65_534, 65_535, 65_536, 70_000, LONGEST_HEAD] {
        all.push(with_target(&vec![b'/'; length]));
        all.push(with_target(&[b"http://a".as_slice(), &vec![b'/'; length]].concat()));
        all.push(with_header(&[vec![b'X'; length], b": a".to_vec()].concat()));
        all.push(with_header(&[b"X: ".as_slice(), &vec![b'a'; length]].concat()));
        all.push([vec![b'G'; length], b" / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()].concat());
    }
    for headers in 98..103 {
        all.push(with_header("X: y\r\n".repeat(headers).trim_end().as_bytes()));
    }
    for length in [u64::MAX - 3, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
        all.push(with_header(format!("Content-Length: {length}").as_bytes()));
        all.push(with_header(format!("Transfer-Encoding: chunked\r\n\r\n{length:x}").as_bytes()));
    }
    for bytes in all {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
        assert!(are_ours(&bytes, bytes.len()).await, "{} bytes: {shown:?}", bytes.len());
        assert!(are_ours(&bytes, bytes.len() / 2).await, "{} bytes, cut: {shown:?}", bytes.len());
    }
}

/// The smuggling cases and what the fuzzer found.
fn corpus() -> Vec<Vec<u8>> {
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/shim/smuggling.json")).expect("cases");
    let latin1 = |case: &serde_json::Value| {
        let text = case["bytes"].as_str().expect("text");
        text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect()
    };
    let found =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/framing")).expect("files");
    let found =
        found.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("bytes")).map(|bytes| {
            // Its first byte says how the others are cut.
            bytes.into_iter().skip(1).collect()
        });
    cases.iter().map(latin1).chain(found).collect()
}

#[test]
fn nor_anything_near_to_what_is_known_to_be_bad() {
    use proptest::test_runner::{Config, TestRunner};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let corpus = corpus();
    for bytes in &corpus {
        assert!(runtime.block_on(are_ours(bytes, 0)), "{:?}", String::from_utf8_lossy(bytes));
    }
    let change = (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..3), 0..3_usize);
    let changes = prop::collection::vec(change, 1..4);
    let at = any::<prop::sample::Index>;
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(at(), changes, at()), |(case, changes, cut)| {
        let mut bytes = case.get(&corpus).clone();
        for (at, put, gone) in changes {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + gone);
            bytes.splice(at..end, put);
        }
        let cut = cut.index(bytes.len() + 1);
        prop_assert!(runtime.block_on(are_ours(&bytes, cut)), "{:?}", String::from_utf8_lossy(&bytes));
        Ok(())
    });
    outcome.expect("no answer of the server's own");
}

#[tokio::test]
async fn a_violation_is_answered_once_after_what_came_before_it_wherever_it_is_split() {
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\noneGET / HTTP/1.1\r\nHost: a\r\n\
                  Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for at in 1..bytes.len() {
        let (mut client, refusals) = serve(None);
        client.write_all(&bytes[..at]).await.expect("written");
        tokio::task::yield_now().await;
        client.write_all(&bytes[at..]).await.expect("written");
        client.shutdown().await.expect("shut down");
        let text = answers(client).await;
        let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "400"], "split at {at}: {text}");
        assert_eq!(text.matches("x-ours: 1").count(), 2, "split at {at}: {text}");
        assert_eq!(*refusals.lock().expect("list"), [Violation::TwoFramings], "split at {at}");
    }
}

#[tokio::test]
async fn the_answer_to_a_refused_request_of_head_has_no_body() {
    for (request, length) in [("HEAD /\0", 0), ("HEAD / HTTP/1.1\r\nX", 0), ("GET / HTTP/1.1\r\nX", 1)] {
        let text = answers_to(format!("{request}\r\n\r\n").as_bytes(), 0).await;
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400") && head.contains("content-length: 1"), "{request}: {text}");
        assert_eq!(body.len(), length, "{request}: {text}");
    }
}

#[tokio::test]
async fn a_violation_in_a_body_is_the_answer_of_its_request() {
    let (mut client, refusals) = serve(None);
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcGET / HTTP/1.1\r\n";
    client.write_all(bytes).await.expect("written");
    let text = answers(client).await;
    assert!(text.starts_with("HTTP/1.1 400") && text.matches("HTTP/1.1").count() == 1, "{text}");
    assert_eq!(*refusals.lock().expect("list"), [Violation::ChunkEnd]);
}

/// How long until the server closes, when this comes and then nothing more.
async fn closes_after(bytes: &[u8]) -> Option<Duration> {
    let (mut client, _) = serve(Some(PATIENCE));
    client.write_all(bytes).await.expect("written");
    let before = Instant::now();
    let mut all = Vec::new();
    timeout(Duration::from_secs(600), client.read_to_end(&mut all)).await.ok()?.expect("the end");
    Some(before.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_is_not_waited_for() {
    let (idle, head) = (PATIENCE.idle.as_secs(), PATIENCE.head.as_secs());
    for (bytes, seconds) in [
        (&b""[..], idle),
        (b"P", head),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", head),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", idle),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", head),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", idle),
    ] {
        let closed = closes_after(bytes).await.map(|after| after.as_secs());
        assert_eq!(closed, Some(seconds), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_runs_is_not_cut_off_by_half_of_the_next() {
    assert!(SLOW > PATIENCE.head);
    let (mut client, _) = serve(Some(PATIENCE));
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /b HT").await.expect("written");
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    // And the half is a head from then on: it is not waited for without end.
    let rest = timeout(SLOW, client.read_to_end(&mut Vec::new())).await;
    assert!(rest.is_ok(), "the connection is closed");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_has_no_more_time_but_a_body_has() {
    let (mut client, _) = serve(Some(PATIENCE));
    let before = Instant::now();
    for byte in b"GET / HTTP/1.1\r\n".iter().cycle() {
        advance(Duration::from_secs(1)).await;
        if client.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    // It takes a moment until a write is told that nobody reads any more.
    let seconds = before.elapsed().as_secs();
    assert!((PATIENCE.head.as_secs()..PATIENCE.head.as_secs() + 10).contains(&seconds), "{seconds}");

    let (mut client, _) = serve(Some(PATIENCE));
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await.expect("written");
    for byte in b"123456789" {
        advance(PATIENCE.idle - Duration::from_secs(1)).await;
        client.write_all(&[*byte]).await.expect("read on");
    }
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_has_all_the_time() {
    let (mut client, _) = serve(None);
    for part in ["GET / HT", "TP/1.1\r\nHost: a\r\n", "Content-Length: 3\r\n\r\n", "abc"] {
        client.write_all(part.as_bytes()).await.expect("read on");
        advance(Duration::from_secs(3600)).await;
    }
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}
