//! Handlers that do not answer, and workers that die: the guilty request fails, the next is served.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, each};

const NODE: &str = "
exports.handle = function (event) {
  switch (event.path) {
    case '/pid': return {body: String(process.pid)};
    case '/loop': for (;;) {}
    case '/never': return new Promise(function () {});
    case '/exit': process.exit(3);
    case '/kill': process.kill(process.pid, 'SIGKILL'); for (;;) {}
  }
};";

const PYTHON: &str = "
import os, signal, threading
def handle(event, context):
    path = event['path']
    if path == '/pid':
        return {'body': str(os.getpid())}
    if path == '/loop':
        while True:
            pass
    if path == '/never':
        threading.Event().wait()
    if path == '/exit':
        os._exit(3)
    if path == '/kill':
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()
";

fn setup(language: Language) -> Setup {
    Setup::new(language, if language.key() == "node" { NODE } else { PYTHON })
}

#[test]
fn a_handler_that_never_returns_is_504_and_its_worker_is_replaced() {
    // The time must do for a new worker to start on a busy machine.
    each(Language::oldest_and_newest(), |language| {
        let shim = setup(language).set("SCW_TIMEOUT_MS", "3000").start();
        let before = shim.get("/pid").text().to_owned();
        let answer = shim.get("/loop");
        assert_eq!(answer.status, 504, "{language:?} {answer:?}");
        assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.TimedOut"));
        assert_eq!(answer.json()["errorType"], "Runtime.TimedOut");
        shim.logged("the worker is replaced");
        let after = shim.get("/pid");
        assert_eq!(after.status, 200, "{after:?}");
        assert_ne!(after.text(), before, "{language:?}");
    });
}

#[test]
fn a_promise_that_never_settles_costs_its_request_alone() {
    let shim = setup(Language::Node).set("SCW_TIMEOUT_MS", "1000").start();
    let before = shim.get("/pid").text().to_owned();
    assert_eq!(shim.get("/never").status, 504);
    assert_eq!(shim.get("/pid").text(), before, "the worker let go of it and goes on");
}

#[test]
fn a_coroutine_that_never_ends_is_cancelled() {
    let source = "import asyncio, os\nasync def handle(event, context):\n    if event['path'] == '/pid':\n        \
                  return str(os.getpid())\n    await asyncio.Event().wait()\n";
    let shim = Setup::new(Language::Python, source).set("SCW_TIMEOUT_MS", "1000").start();
    let before = shim.get("/pid").text().to_owned();
    assert_eq!(shim.get("/never").status, 504);
    assert_eq!(shim.get("/pid").text(), before);
}

#[test]
fn a_worker_that_dies_is_502_for_what_it_held_and_the_next_request_is_served() {
    each(Language::framed(), |language| {
        let shim = setup(language).start();
        for (path, how) in [("/exit", "exited with status 3"), ("/kill", "killed by signal 9")] {
            let before = shim.get("/pid").text().to_owned();
            let answer = shim.get(path);
            assert_eq!(answer.status, 502, "{language:?} {path} {answer:?}");
            assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.WorkerKilled"));
            assert!(answer.json()["errorMessage"].as_str().expect("a reason").contains(how), "{answer:?}");
            let after = shim.get("/pid");
            assert_eq!(after.status, 200);
            assert_ne!(after.text(), before);
        }
    });
}

#[test]
fn the_stack_goes_to_the_log_and_never_to_the_caller() {
    each(Language::framed(), |language| {
        let source = match language.key() {
            "node" => {
                "function deep() { throw new TypeError('boom'); }\nexports.handle = function () { deep(); };"
            }
            _ => "def deep():\n    raise TypeError('boom')\ndef handle(event, context):\n    deep()\n",
        };
        let shim = Setup::new(language, source).start();
        let answer = shim.call(Request::get("/"));
        let expected = serde_json::json!({"errorMessage": "boom", "errorType": "TypeError"});
        assert_eq!((answer.status, answer.json()), (500, expected), "{language:?}");
        shim.logged("deep");
    });
}
