use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{advance, timeout};

use super::super::PATIENCE;
use super::*;

/// A server with the guard before it, which answers 200 with what it read. The other end, and the refusals.
fn serve(patience: Option<Patience>) -> (DuplexStream, Arc<Mutex<Vec<Violation>>>) {
    let (ours, theirs) = duplex(1 << 20);
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let noted = refusals.clone();
    let guarded =
        Guarded::new(theirs, patience, move |violation| noted.lock().expect("list").push(violation));
    let service = service_fn(|request: Request<hyper::body::Incoming>| async {
        let (status, body) = match request.into_body().collect().await {
            Ok(body) => (200, body.to_bytes()),
            Err(_) => (400, Bytes::new()),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status.try_into().expect("status");
        Ok::<_, Infallible>(response)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    let idle = patience.map(|patience| patience.idle);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle);
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
        assert_eq!(*refusals.lock().expect("list"), [Violation::TwoFramings], "split at {at}");
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
    assert!((PATIENCE.head.as_secs()..PATIENCE.head.as_secs() + 5).contains(&seconds), "{seconds}");

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
