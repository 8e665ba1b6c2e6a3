//! Streamed answers as a worker sends them, frame by frame.

use rustix::process::Signal;

use crate::harness::http::Request;
use crate::harness::{Setup, Shim, release};

const SCRIPT: &str = r#"
def on_request(number, path, body):
    aside(streams, number, path)

def streams(number, path):
    if path == '/steps':
        begin(number, b'one ')
        wait_for('go')
        flow(number, b'two ')
        flow(number, b'three')
        send(END, number)
    elif path == '/breaks':
        begin(number)
        flow(number, b'first')
        send(END, number, {'error_type': 'ValueError', 'message': 'it went wrong'})
    elif path == '/dies':
        begin(number, b'first')
        wait_for('go')
        os._exit(3)
    elif path == '/for-ever':
        begin(number, b'first')
    elif path == '/large':
        begin(number)
        for _ in range(128):
            flow(number, PIECE)
        send(END, number)
        print('sent', flush=True)
    elif path == '/204':
        begin(number, PIECE, 204)
        for _ in range(31):
            flow(number, PIECE)
        send(END, number)
        print('dropped', flush=True)
    elif path == '/greedy':
        begin(number)
        for _ in range(128):
            send(DATA, number, None, PIECE)
    elif path == '/bad-head':
        send(HEAD_FRAME, number, {'status': 99, 'headers': []})
    elif path == '/ended':
        send(END, number)
    else:
        answer(number)
"#;

fn start() -> Shim {
    Setup::scripted(SCRIPT).start()
}

#[test]
fn an_answer_comes_as_it_is_sent_chunked_and_whole() {
    let shim = start();
    let mut stream = shim.send(Request::get("/steps")).stream();
    assert_eq!((stream.status, stream.header("transfer-encoding")), (200, Some("chunked")));
    assert_eq!(stream.header("content-length"), None);
    assert_eq!(stream.next().as_deref(), Some(&b"one "[..]));
    release(&shim);
    let (rest, is_cut, connection) = stream.rest();
    assert_eq!((String::from_utf8_lossy(&rest).as_ref(), is_cut), ("two three", false));
    assert_eq!(connection.send(Request::get("/")).response().text(), "served");
}

#[test]
fn an_answer_that_breaks_off_cuts_the_connection_and_is_logged() {
    let shim = start();
    let (got, is_cut, _) = shim.send(Request::get("/breaks")).stream().rest();
    assert_eq!((String::from_utf8_lossy(&got).as_ref(), is_cut), ("first", true));
    shim.logged("ValueError: it went wrong");
    assert_eq!(shim.get("/").text(), "served");
}

#[test]
fn a_worker_that_dies_in_the_middle_cuts_the_connection() {
    let shim = start();
    let mut stream = shim.send(Request::get("/dies")).stream();
    assert_eq!(stream.next().as_deref(), Some(&b"first"[..]));
    release(&shim);
    let (rest, is_cut, _) = stream.rest();
    assert_eq!((rest.len(), is_cut), (0, true));
    shim.logged("broke off: the worker exited with status 3");
    assert_eq!(shim.get("/").text(), "served");
}

#[test]
fn the_time_counts_to_the_end_of_the_stream() {
    let shim = Setup::scripted(SCRIPT).set("SCW_TIMEOUT_MS", "300").set("SCW_MAX_CONCURRENCY", "1").start();
    let (got, is_cut, _) = shim.send(Request::get("/for-ever")).stream().rest();
    assert_eq!((String::from_utf8_lossy(&got).as_ref(), is_cut), ("first", true));
    shim.logged("did not finish it within 300 ms");
    shim.logged("cancel 1");
    crate::harness::until("the slot is free", || shim.get("/").status == 200);
}

#[test]
fn a_caller_that_goes_is_told_to_the_worker() {
    let shim = Setup::scripted(SCRIPT).set("SCW_MAX_CONCURRENCY", "1").start();
    let mut stream = shim.send(Request::get("/for-ever")).stream();
    assert_eq!(stream.next().as_deref(), Some(&b"first"[..]));
    drop(stream);
    shim.logged("cancel 0");
    crate::harness::until("the slot is free", || shim.get("/").status == 200);
}

#[test]
fn a_caller_that_does_not_read_holds_up_the_worker_and_loses_nothing() {
    let shim = start();
    let mut stream = shim.send(Request::get("/large")).stream();
    let first = stream.next().expect("bytes").len();
    // 8 MiB do not fit into the window and the buffers of two sockets.
    shim.logged("no credit");
    assert_eq!(shim.get("/").text(), "served");
    let (rest, is_cut, _) = stream.rest();
    assert_eq!((first + rest.len(), is_cut), (128 * 65536, false));
    shim.logged("sent");
}

#[test]
fn a_body_that_nobody_wants_is_dropped_and_the_handler_goes_to_its_end() {
    let shim = start();
    for (method, path, said) in [("HEAD", "/large", "sent"), ("GET", "/204", "dropped")] {
        let sent = shim.send(Request::new(method, path));
        let (answer, connection) = sent.response_and_rest();
        assert_eq!(answer.body.len(), 0);
        shim.logged(said);
        assert_eq!(connection.send(Request::get("/")).response().text(), "served", "{method} {path}");
    }
}

#[test]
fn the_end_of_the_shim_waits_for_streams() {
    let shim = start();
    let mut stream = shim.send(Request::get("/steps")).stream();
    assert_eq!(stream.next().as_deref(), Some(&b"one "[..]));
    shim.signal(Signal::TERM);
    crate::harness::until("nobody listens", || shim.connect().is_none());
    release(&shim);
    let (rest, is_cut, _) = stream.rest();
    assert_eq!((String::from_utf8_lossy(&rest).as_ref(), is_cut), ("two three", false));
    assert_eq!(shim.ended().code(), Some(0));
}

#[test]
fn a_worker_that_sends_more_than_it_may_is_not_spoken_to_again() {
    let shim = start();
    // Nobody reads: 8 MiB do not fit into the window and the buffers of a socket.
    let sent = shim.send(Request::get("/greedy"));
    shim.logged("the worker does not speak the protocol: a frame of type 12 that it may not send");
    let (_, is_cut, _) = sent.stream().rest();
    assert!(is_cut);
    assert_eq!(shim.get("/").text(), "served");
}

#[test]
fn heads_that_http_cannot_carry_are_502() {
    let shim = start();
    for path in ["/bad-head", "/ended"] {
        let answer = shim.get(path);
        assert_eq!(answer.status, 502, "{path} {answer:?}");
        assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.MalformedAnswer"));
    }
    assert_eq!(shim.get("/").text(), "served");
}

#[test]
fn http_2_gets_streams_too_and_a_reset_when_one_breaks_off() {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let shim = start();
    release(&shim);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::UnixStream::connect(shim.socket()).await.expect("a listener");
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut body = async |path: &str| {
            let request = hyper::Request::get(format!("http://h.example{path}"));
            let request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
            let answer = sender.send_request(request).await.expect("an answer");
            answer.into_body().collect().await.map(|body| body.to_bytes())
        };
        assert_eq!(body("/steps").await.expect("whole"), "one two three");
        let reset = body("/breaks").await.expect_err("a reset");
        let reason = std::error::Error::source(&reset).map(ToString::to_string).unwrap_or_default();
        assert!(reason.contains("stream error received"), "{reset:?}");
        assert_eq!(body("/large").await.expect("whole").len(), 128 * 65536);
    });
}

#[test]
fn callers_that_do_not_read_cost_a_window_each_and_no_more() {
    let shim = Setup::scripted(SCRIPT).set("SCW_MAX_CONCURRENCY", "16").start();
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", shim.pid())).expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim_end_matches("kB").trim().parse::<usize>().expect("a number") << 10
    };
    let before = resident();
    let idle: Vec<_> = (0..16).map(|_| shim.send(Request::get("/large"))).collect();
    let waits = || shim.all_logged().iter().filter(|record| record.line == "no credit").count();
    crate::harness::until("all wait", || waits() >= 16);
    // 128 MiB are to be sent.
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    for sent in idle {
        let (got, is_cut, _) = sent.stream().rest();
        assert_eq!((got.len(), is_cut), (128 * 65536, false));
    }
}
