//! Node: errors that no handler's promise carries, and what is left of them for others.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, each, release};

/// The first line whose code can tell which request it runs for (12.17), and has `AbortController` (15).
const KNOWS_REQUESTS: u8 = 12;
const HAS_SIGNALS: u8 = 16;

const FAILING: &str = "
const fs = require('fs');
const never = function () { return new Promise(function () {}); };
exports.handle = function (event, context) {
  switch (event.path) {
    case '/pid': return {body: String(process.pid)};
    case '/held':
      console.log('holding');
      return new Promise(function (resolve) {
        const timer = setInterval(function () {
          if (fs.existsSync('go')) { clearInterval(timer); resolve('held'); } }, 2); });
    case '/throws': setTimeout(function () { throw new RangeError('thrown where nothing catches'); }, 0); return never();
    case '/rejects': Promise.reject(new RangeError('nobody handles this')); return never();
    case '/answers': Promise.reject(new RangeError('nobody handles that')); return 'fine';
    case '/twice': setTimeout(function () { context.succeed('late'); }, 0); return 'first';
    case '/null': throw Object.create(null);
    case '/getter': throw {get message() { throw new Error('no'); }};
    case '/symbol': throw Symbol('thing');
    case '/object': return Promise.reject({code: 5});
    case '/number': return Promise.reject(7);
  }
};";

fn shim(language: Language) -> crate::harness::Shim {
    Setup::new(language, FAILING).set("SCW_TIMEOUT_MS", "20000").start()
}

#[test]
fn an_error_that_nothing_catches_fails_its_request_and_those_beside_it_are_answered() {
    each(Language::nodes(), |language| {
        let shim = shim(language);
        let before = shim.get("/pid").text().to_owned();
        let held = shim.send(Request::get("/held"));
        shim.logged("holding");
        let guilty = shim.get("/throws");
        shim.logged("thrown where nothing catches");
        let after = shim.get("/pid");
        assert_eq!(after.status, 200, "{language:?} {after:?}");
        assert_ne!(after.text(), before, "{language:?}: the process is replaced");
        release(&shim);
        let held = held.response();
        if language.node_line() >= Some(KNOWS_REQUESTS) {
            assert_eq!((guilty.status, guilty.json()["errorType"].as_str()), (500, Some("RangeError")));
            assert_eq!((held.status, held.text()), (200, "held"), "{language:?}");
        } else {
            // The older ones cannot tell whose error it was.
            assert_eq!((guilty.status, held.status), (502, 502), "{language:?}");
        }
    });
}

#[test]
fn a_rejection_that_nothing_handles_costs_at_most_its_request() {
    each(Language::nodes(), |language| {
        let shim = shim(language);
        let before = shim.get("/pid").text().to_owned();
        assert_eq!(shim.get("/answers").text(), "fine");
        shim.logged("nobody handles that");
        // Node itself ends at such a rejection since 15.
        if language.node_line() >= Some(16) {
            let answer = shim.get("/rejects");
            assert_eq!((answer.status, &answer.json()["errorMessage"]), (500, &"nobody handles this".into()));
        }
        assert_eq!(shim.get("/pid").text(), before, "{language:?}");
    });
}

#[test]
fn whatever_is_thrown_is_told_in_words() {
    each(Language::nodes(), |language| {
        let shim = shim(language);
        for (path, message, kind) in [
            ("/null", "{}", "object"),
            ("/getter", "an error that cannot be read", "object"),
            ("/symbol", "Symbol(thing)", "symbol"),
            ("/object", "{\"code\":5}", "object"),
            ("/number", "7", "number"),
        ] {
            let expected = serde_json::json!({"errorMessage": message, "errorType": kind});
            let answer = shim.get(path);
            assert_eq!((answer.status, answer.json()), (500, expected), "{language:?} {path}");
        }
    });
}

#[test]
fn a_second_completion_is_logged_and_changes_nothing() {
    each(Language::nodes(), |language| {
        let shim = shim(language);
        let answer = shim.call(Request::get("/twice").header("X-Request-Id", "twice-1"));
        assert_eq!(answer.text(), "first", "{language:?}");
        shim.logged("the handler completed twice-1 more than once");
    });
}

#[test]
fn a_process_that_handles_its_own_errors_lives_on() {
    let source =
        "process.on('uncaughtException', function (error) { console.log('seen: ' + error.message); });
        exports.handle = function (event) {
          if (event.path === '/throws') setTimeout(function () { throw new Error('mine'); }, 0);
          return String(process.pid); };";
    each(Language::oldest_and_newest_nodes(), |language| {
        let shim = Setup::new(language, source).start();
        let pid = shim.get("/throws").text().to_owned();
        shim.logged("seen: mine");
        assert_eq!(shim.get("/").text(), pid, "{language:?}");
    });
}

#[test]
fn a_handler_hears_that_its_caller_has_gone_and_that_its_time_is_up() {
    let source = "exports.handle = function (event, context) {
        if (context.signal === undefined) return 'no signal';
        return new Promise(function () {
          context.signal.addEventListener('abort', function () { console.log(event.path + ' aborted'); });
          console.log(event.path + ' waits'); }); };";
    each(Language::nodes(), |language| {
        let shim = Setup::new(language, source).set("SCW_TIMEOUT_MS", "2000").start();
        if language.node_line() < Some(HAS_SIGNALS) {
            assert_eq!(shim.get("/").text(), "no signal", "{language:?}");
            return;
        }
        let gone = shim.send(Request::get("/gone"));
        shim.logged("/gone waits");
        drop(gone);
        shim.logged("/gone aborted");
        assert_eq!(shim.get("/late").status, 504);
        shim.logged("/late aborted");
    });
}
