//! The end of a shim loses no request.

use rustix::process::Signal;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, each, release, until};

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
fn the_grace_period_ends_and_so_does_the_shim() {
    let shim = Setup::new(Language::Node, NODE).set("SCW_GRACE_MS", "100").start();
    let _held = shim.send(Request::get("/"));
    shim.logged("holding");
    shim.signal(Signal::TERM);
    shim.logged("the grace period is over");
    assert_eq!(shim.ended().code(), Some(0));
}
