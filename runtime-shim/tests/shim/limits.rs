//! Room, sizes, and answers that carry no body.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, release};

const LENGTH: &str = "exports.handle = function (event) { return {body: String(event.body.length)}; };";

/// Answers `/hold` once the test releases it.
const HOLD: &str = "
const fs = require('fs');
exports.handle = function (event) {
  if (event.path !== '/hold') return 'free';
  console.log('holding');
  return new Promise(function (resolve) {
    const timer = setInterval(function () {
      if (fs.existsSync('go')) { clearInterval(timer); resolve('held'); }
    }, 2);
  });
};";

#[test]
fn an_instance_that_is_full_says_429_and_when_to_come_again() {
    let shim = Setup::new(Language::Node, HOLD).set("SCW_MAX_CONCURRENCY", "1").start();
    let held = shim.send(Request::get("/hold"));
    shim.logged("holding");
    let answer = shim.get("/");
    assert_eq!((answer.status, answer.header("retry-after").as_deref()), (429, Some("1")), "{answer:?}");
    assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Instance.Full"));
    release(&shim);
    assert_eq!(held.response().text(), "held");
    assert_eq!(shim.get("/").text(), "free");
}

#[test]
fn a_queue_takes_as_many_as_it_is_long() {
    let setup = Setup::new(Language::Node, HOLD).set("SCW_MAX_CONCURRENCY", "1").set("SCW_QUEUE_SIZE", "1");
    let shim = setup.start();
    let held = shim.send(Request::get("/hold"));
    shim.logged("holding");
    // Which of the two comes first is open; one finds room in the queue, the other does not.
    let two = [shim.send(Request::get("/")), shim.send(Request::get("/"))];
    let [first, second] = two.map(|sent| std::thread::spawn(move || sent.response()));
    crate::harness::until("one is refused", || first.is_finished() || second.is_finished());
    release(&shim);
    let mut statuses = [first, second].map(|answer| answer.join().expect("an answer").status);
    statuses.sort_unstable();
    assert_eq!((statuses, held.response().status), ([200, 429], 200));
}

fn small() -> Shim {
    Setup::new(Language::Node, LENGTH).set("SCW_PAYLOAD_MAX_SIZE", "1000").start()
}

fn chunked(length: usize) -> Vec<u8> {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut out = head.as_bytes().to_vec();
    for part in vec![b'x'; length].chunks(100) {
        out.extend(format!("{:x}\r\n", part.len()).into_bytes());
        out.extend(part);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

#[test]
fn a_body_over_the_limit_is_413_whatever_its_framing() {
    let shim = small();
    assert_eq!(shim.call(Request::new("POST", "/").body("x".repeat(1000))).text(), "1000");
    let answer = shim.call(Request::new("POST", "/").body("x".repeat(1001)));
    assert_eq!((answer.status, answer.header("connection").as_deref()), (413, Some("close")));
    let fits = shim.connect().expect("a listener").raw(&chunked(1000), "POST").response();
    assert_eq!(fits.text(), "1000");
    let over = shim.connect().expect("a listener").raw(&chunked(1001), "POST").response();
    assert_eq!(over.status, 413, "{over:?}");
    assert_eq!(shim.get("/").text(), "0");
}

#[test]
fn a_caller_who_asks_first_hears_100_only_when_the_body_fits() {
    let shim = small();
    let ask =
        |length: usize| Request::new("POST", "/").header("Expect", "100-continue").body("x".repeat(length));
    let fits = shim.call(ask(1000));
    assert_eq!((&*fits.interim, fits.status, fits.is_cut), (&[100][..], 200, false));
    let (over, mut connection) = shim.send(ask(1001)).response_and_rest();
    assert_eq!((&*over.interim, over.status), (&[][..], 413));
    assert!(connection.closes());
}

#[test]
fn headers_over_the_limit_are_431() {
    let shim = Setup::new(Language::Node, LENGTH).set("SCW_HEADER_MAX_SIZE", "2000").start();
    assert_eq!(shim.call(Request::get("/").header("X-Long", &"x".repeat(1800))).status, 200);
    assert_eq!(shim.call(Request::get("/").header("X-Long", &"x".repeat(2001))).status, 431);
    assert_eq!(shim.call(Request::get("/").header("X-Long", &"x".repeat(200_000))).status, 431);
    // Many small ones count too, each with its colon and line's end.
    let many = |count: usize| {
        (0..count).fold(Request::get("/"), |r, at| r.header(&format!("X-{at:03}"), "a value of 20 bytes."))
    };
    assert_eq!((shim.call(many(60)).status, shim.call(many(75)).status), (200, 431));
    // And there is a limit of their number, 100.
    let shim = Setup::new(Language::Node, LENGTH).start();
    assert_eq!((shim.call(many(99)).status, shim.call(many(100)).status), (200, 431));
}

#[test]
fn a_refusal_is_an_answer_like_all_others_however_far_over_the_limit() {
    let shim = Setup::new(Language::Node, LENGTH).start();
    for length in [65_600, 131_000, 131_100, 1 << 20] {
        let answer = shim.call(Request::get("/").header("X-Long", &"x".repeat(length)));
        assert_eq!(answer.status, 431, "{length}");
        assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Request.Headers"), "{length}");
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some("*"), "{length}");
        assert_eq!(
            answer.header("access-control-allow-headers").as_deref(),
            Some("Content-Type"),
            "{length}"
        );
        assert_eq!(answer.json()["errorType"], "Request.Headers", "{length}");
    }
    // One for HEAD has no body, whatever is wrong.
    let raw = b"HEAD / HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n";
    let (answer, mut connection) = shim.connect().expect("a listener").raw(raw, "HEAD").response_and_rest();
    assert_eq!((answer.status, answer.header("connection").as_deref()), (400, Some("close")));
    assert!(connection.closes(), "no body follows");
}

#[test]
fn headers_have_64_kib_when_nothing_else_is_said() {
    let shim = Setup::new(Language::Node, LENGTH).start();
    assert_eq!(shim.call(Request::get("/").header("X-Long", &"x".repeat(65_000))).status, 200);
    let answer = shim.call(Request::get("/").header("X-Long", &"x".repeat(65_600)));
    assert_eq!((answer.status, answer.header("x-zipship-error").as_deref()), (431, Some("Request.Headers")));
}

#[test]
fn head_204_and_304_carry_no_body_and_the_connection_goes_on() {
    let source = "exports.handle = function (event) {
        return {statusCode: Number(event.path.slice(1)) || 200, body: 'four', headers: {'Content-Length': '99'}}; };";
    let shim = Setup::new(Language::Node, source).start();
    let mut connection = shim.connect().expect("a listener");
    for (method, path, status, length) in [
        ("HEAD", "/", 200, Some("4")),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, None),
        ("GET", "/", 200, Some("4")),
    ] {
        let (answer, next) = connection.send(Request::new(method, path)).response_and_rest();
        assert_eq!(
            (answer.status, answer.header("content-length").as_deref()),
            (status, length),
            "{method} {path}"
        );
        connection = next;
    }
}
