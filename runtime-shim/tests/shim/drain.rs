//! The end of a shim loses no request.

use rustix::process::Signal;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each, release, until};

const NODE: &str = "
const fs = require('fs');
process.on('SIGTERM', function () { process.exit(1); });
exports.handle = function () {
  console.log('holding');
  return new Promise(function (resolve) {
    const timer = setInterval(function () {
      if (fs.existsSync('go')) { clearInterval(timer); resolve('held'); }
    }, 2);
  });
};";

const PYTHON: &str = "
import os, time
def handle(event, context):
    print('holding')
    while not os.path.exists('go'):
        time.sleep(0.002)
    return 'held'
";

#[test]
fn a_request_in_flight_is_answered_and_the_listener_is_gone() {
    each(Language::framed(), |language| {
        let shim = Setup::new(language, if language.key() == "node" { NODE } else { PYTHON }).start();
        let held = shim.send(Request::get("/"));
        shim.logged("holding");
        shim.signal(Signal::TERM);
        until("nobody listens", || shim.connect().is_none());
        release(&shim);
        let answer = held.response();
        assert_eq!((answer.status, answer.text()), (200, "held"), "{language:?}");
        assert_eq!(shim.ended().code(), Some(0));
    });
}

#[test]
fn requests_that_wait_in_the_socket_at_the_signal_are_answered() {
    let source = "exports.handle = function () { return 'served'; };";
    let shim = Setup::new(Language::Node, source).start();
    // Stopped, it can accept nothing: the connections wait in the socket, the signal too.
    shim.signal(Signal::STOP);
    let waiting: Vec<_> = (0..5).map(|_| shim.send(Request::get("/"))).collect();
    shim.signal(Signal::TERM);
    shim.signal(Signal::CONT);
    for sent in waiting {
        assert_eq!(sent.response().text(), "served");
    }
    assert_eq!(shim.ended().code(), Some(0));
}

#[test]
fn a_caller_whose_first_head_is_half_sent_at_the_signal_is_answered() {
    let source = "exports.handle = function () { return 'served'; };";
    for shim in
        [Setup::new(Language::Node, source).start(), Setup::new(Language::Node, source).start_on_port()]
    {
        let (one, two) = ("GET / HTTP/1.1\r\nHos", "t: a\r\n\r\n");
        let mut half = shim.connect().expect("a listener");
        half.write(one.as_bytes());
        // Whoever came later was answered: the half was read.
        assert_eq!(shim.get("/").text(), "served");
        shim.signal(Signal::TERM);
        until("nobody listens", || shim.connect().is_none());
        assert_eq!(half.raw(two.as_bytes(), "GET").response().text(), "served");
        assert_eq!(shim.ended().code(), Some(0));
    }
}

#[test]
fn the_grace_period_ends_and_so_does_the_shim() {
    let shim = Setup::new(Language::Node, NODE).set("SCW_GRACE_MS", "100").start();
    let _held = shim.send(Request::get("/"));
    shim.logged("holding");
    shim.signal(Signal::TERM);
    shim.logged("the grace period is over");
    assert_eq!(shim.ended().code(), Some(0));
}

/// What a caller sees of an instance that ends under load: requests that were answered, and those that were
/// sent on a connection that ended without an answer.
#[derive(Default)]
struct Seen {
    answered: usize,
    lost: usize,
}

/// Whether a caller that was asked to close comes again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Until nobody listens.
    ComesAgain,
    /// The same, with a connection for each request.
    ConnectsAnew,
    /// A gateway, which knows that the instance ends.
    GoesElsewhere,
}

/// One caller: requests one after the other on a connection that is kept.
fn call_to_the_end(shim: &Shim, caller: Caller) -> Seen {
    let mut seen = Seen::default();
    while let Some(mut connection) = shim.connect() {
        loop {
            let mut request = Request::new("POST", "/").body("body");
            if caller == Caller::ConnectsAnew {
                request = request.header("Connection", "close");
            }
            let Some((answer, rest)) = connection.try_send(request) else {
                seen.lost += 1;
                break;
            };
            assert_eq!((answer.status, answer.text()), (200, "body"), "{answer:?}");
            seen.answered += 1;
            connection = rest;
            if answer.header("connection").as_deref() == Some("close") {
                break;
            }
        }
        if caller == Caller::GoesElsewhere {
            break;
        }
    }
    seen
}

fn ends_under_load(shim: Shim, caller: Caller) {
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..32).map(|_| scope.spawn(|| call_to_the_end(&shim, caller))).collect();
        until("they are at it", || shim.log_length() >= 500);
        shim.signal(Signal::TERM);
        callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
    });
    let answered: usize = seen.iter().map(|seen| seen.answered).sum();
    assert!(answered >= 500, "{answered}");
    assert_eq!(seen.iter().map(|seen| seen.lost).sum::<usize>(), 0, "of {answered}");
    assert_eq!(shim.ended().code(), Some(0));
}

const ECHOES: &str = "
exports.handle = async function (event) {
  console.log('served');
  await new Promise(function (resolve) { setTimeout(resolve, 1); });
  return {body: event.body};
};";

#[test]
fn under_load_no_request_is_lost_on_a_port() {
    ends_under_load(Setup::new(Language::Node, ECHOES).start_on_port(), Caller::ComesAgain);
}

#[test]
fn under_load_no_caller_that_connects_is_turned_away_unheard() {
    ends_under_load(Setup::new(Language::Node, ECHOES).start_on_port(), Caller::ConnectsAnew);
}

#[test]
fn under_load_no_request_is_lost_on_an_inherited_tcp_socket() {
    ends_under_load(Setup::new(Language::Node, ECHOES).start_on_tcp(), Caller::GoesElsewhere);
}

#[test]
fn under_load_no_request_is_lost_on_an_inherited_unix_socket() {
    ends_under_load(Setup::new(Language::Node, ECHOES).start(), Caller::GoesElsewhere);
}
