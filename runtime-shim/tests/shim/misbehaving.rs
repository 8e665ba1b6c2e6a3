//! Workers that do not speak the protocol: those whose request they held hear of it, and the next is served.

use crate::harness::Setup;
use crate::harness::http::Request;

const SCRIPT: &str = r#"
def on_request(number, path, body):
    if path == '/garbage':
        sock.sendall(b'GET / HTTP/1.1\r\n\r\n')
    elif path == '/long':
        sock.sendall(HEAD.pack(0xffffffff, ANSWER, 0, 0, number, 2))
    elif path == '/lengths':
        sock.sendall(HEAD.pack(12, ANSWER, 0, 0, number, 99))
    elif path == '/mine':
        send(REQUEST, number)
    elif path == '/closes':
        sock.close()
        time.sleep(600)
    elif path == '/exits':
        os._exit(0)
    elif path == '/unknown':
        for kind in (ANSWER, ERROR, CANCELLED, HEAD_FRAME, DATA, END, LOG):
            send(kind, 4000000000, {'status': 200, 'headers': [], 'stream': 'stdout', 'kind': 'thrown',
                                    'message': '', 'error_type': ''}, b'nobody asked\n')
        send(PONG, 99)
        answer(number, 'mine')
    elif path == '/nonsense':
        send(ANSWER, number, {'status': 'x'})
    else:
        answer(number, str(os.getpid()))
"#;

#[test]
fn what_is_no_frame_ends_the_worker_and_the_next_one_serves() {
    for path in ["/garbage", "/long", "/lengths", "/mine", "/closes", "/exits"] {
        // One shim each: the wait before a restart grows.
        let shim = Setup::scripted(SCRIPT).start();
        let before = shim.get("/").text().to_owned();
        let answer = shim.get(path);
        assert_eq!(answer.status, 502, "{path} {answer:?}");
        assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.WorkerKilled"), "{path}");
        let after = shim.get("/");
        assert_eq!(after.status, 200, "{path}");
        assert_ne!(after.text(), before, "{path}");
    }
}

#[test]
fn frames_that_nobody_asked_for_and_answers_without_sense_cost_nobody_else() {
    let shim = Setup::scripted(SCRIPT).start();
    let before = shim.get("/").text().to_owned();
    assert_eq!(shim.get("/unknown").text(), "mine");
    assert_eq!(shim.get("/nonsense").status, 502);
    assert_eq!(shim.get("/").text(), before, "the worker goes on");
}

/// Ends in the same breath in which it answers.
const LAST_WORDS: &str = r#"
def on_request(number, path, body):
    send(LOG, number, {'stream': 'stderr'}, b'last words\nof two lines\n')
    answer(number, 'x' * 100000)
    os._exit(0)
"#;

#[test]
fn what_a_worker_said_before_it_died_counts() {
    let shim = Setup::scripted(LAST_WORDS).start();
    for round in 0..4 {
        let before = shim.log_length();
        let id = format!("round-{round}");
        let answer = shim.call(Request::get("/").header("X-Request-Id", &id));
        assert_eq!((answer.status, answer.body.len()), (200, 100_000), "{answer:?}");
        for line in ["last words", "of two lines"] {
            let record = shim.logged_after(before, line).expect("a record");
            assert_eq!((record.request_id.as_deref(), &*record.line), (Some(&*id), line));
            assert_eq!(record.stream, contract::instance::LogStream::Stderr);
        }
    }
}

/// Dies with a small request in its socket, which it has not read.
const UNREAD: &str = r#"
def on_request(number, path, body):
    if path == '/stuck':
        print('stuck', flush=True)
        sock.recv(1, socket.MSG_PEEK)
        os._exit(1)
    answer(number, str(os.getpid()))
"#;

#[test]
fn a_request_that_lay_unread_in_the_socket_is_served_by_the_next() {
    let shim = Setup::scripted(UNREAD).start();
    let guilty = shim.send(Request::get("/stuck"));
    shim.logged("stuck");
    let unread = shim.send(Request::get("/"));
    assert_eq!(guilty.response().status, 502);
    assert_eq!(unread.response().status, 200);
}

/// A worker that is stuck takes nothing from its socket: what does not fit there was never its.
const STUCK: &str = r#"
def on_request(number, path, body):
    if path == '/stuck' and not os.path.exists('served'):
        open('served', 'w').close()
        print('stuck', flush=True)
        wait_for('go')
        os._exit(1)
    answer(number, '%d bytes' % len(body))
"#;

#[test]
fn requests_that_a_dead_worker_never_had_are_served_by_the_next() {
    let shim = Setup::scripted(STUCK).start();
    let guilty = shim.send(Request::get("/stuck"));
    shim.logged("stuck");
    let large = || Request::new("POST", "/").body("x".repeat(1 << 20));
    let waiting: Vec<_> = (0..4).map(|_| shim.send(large())).collect();
    crate::harness::release(&shim);
    assert_eq!(guilty.response().status, 502);
    for sent in waiting {
        let answer = sent.response();
        assert_eq!((answer.status, answer.text()), (200, "1048576 bytes"), "{answer:?}");
    }
}
