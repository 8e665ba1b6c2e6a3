//! Handlers that do what handlers should not: their request fails, the next one is served.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, each};

const NODE: &str = "
exports.handle = function (event) {
  switch (event.path) {
    case '/segfault': process.kill(process.pid, 'SIGSEGV'); for (;;) {}
    case '/abort': process.abort();
    case '/exit-0': process.exit(0);
    case '/later': setTimeout(function () { process.exit(7); }, 1); return new Promise(function () {});
    case '/circular': { const a = {}; a.a = a; return a; }
    case '/memory': { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); }
    case '/large': return {body: Buffer.alloc(50 << 20, 'large ')};
    case '/text': return 'é'.repeat(25 << 20);
  }
  return 'served';
};";

const PYTHON: &str = "
import ctypes, os, resource, sys, threading
def handle(event, context):
    path = event['path']
    if path == '/segfault':
        ctypes.string_at(0)
    if path == '/abort':
        os.abort()
    if path == '/exit-0':
        os._exit(0)
    if path == '/later':
        threading.Timer(0.001, lambda: os._exit(7)).start()
        threading.Event().wait()
    if path == '/system-exit':
        sys.exit(3)
    if path == '/circular':
        a = {}
        a['a'] = a
        return a
    if path == '/memory':
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
        try:
            return 'x' * (2 << 30)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if path == '/large':
        return {'body': b'large ' * ((50 << 20) // 6 + 1)}
    if path == '/text':
        return u'\\u00e9' * (25 << 20)
    return 'served'
";

fn setup(language: Language) -> Setup {
    Setup::new(language, if language.key() == "node" { NODE } else { PYTHON })
}

#[test]
fn whatever_ends_the_process_is_502_and_the_next_request_is_served() {
    each(Language::oldest_and_newest(), |language| {
        for (path, how) in [
            ("/segfault", "killed by signal 11"),
            ("/abort", "killed by signal 6"),
            ("/exit-0", "exited with status 0"),
            ("/later", "exited with status 7"),
        ] {
            let shim = setup(language).start();
            let answer = shim.get(path);
            assert_eq!(answer.status, 502, "{language:?} {path} {answer:?}");
            let reason = answer.json()["errorMessage"].as_str().expect("a reason").to_owned();
            assert!(reason.contains(how), "{language:?} {path}: {reason}");
            assert_eq!(shim.get("/").text(), "served", "{language:?} {path}");
        }
    });
}

#[test]
fn memory_that_runs_out_costs_the_guilty_request() {
    each(Language::oldest_and_newest(), |language| {
        // Node ends itself at its own limit, python raises.
        let shim = setup(language).set("NODE_OPTIONS", "--max-old-space-size=32").start();
        let expected = if language.key() == "node" { 502 } else { 500 };
        let answer = shim.get("/memory");
        assert_eq!(answer.status, expected, "{language:?} {answer:?}");
        assert_eq!(shim.get("/").text(), "served", "{language:?}");
    });
}

#[test]
fn an_answer_that_refers_to_itself_is_502_and_the_worker_goes_on() {
    each(Language::oldest_and_newest(), |language| {
        let shim = setup(language).start();
        let answer = shim.get("/circular");
        assert_eq!(answer.status, 502, "{language:?} {answer:?}");
        assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.MalformedAnswer"));
        assert_eq!(shim.get("/").text(), "served");
    });
}

#[test]
fn a_handler_that_asks_python_to_exit_fails_alone() {
    let shim = setup(Language::Python).start();
    assert_eq!(shim.get("/system-exit").status, 500);
    assert_eq!(shim.get("/").text(), "served");
}

#[test]
fn answers_of_50_megabytes_arrive_whole() {
    each(Language::oldest_and_newest(), |language| {
        let shim = setup(language).start();
        let large = shim.get("/large");
        assert!(large.body.len() >= 50 << 20, "{language:?} {}", large.body.len());
        assert!(large.body.chunks(6).all(|part| b"large ".starts_with(part)), "{language:?}");
        let text = shim.call(Request::get("/text"));
        assert_eq!(text.body.len(), 50 << 20, "{language:?}");
        assert!(text.body.chunks(2).all(|part| part == "é".as_bytes()), "{language:?}");
        assert_eq!(shim.get("/").text(), "served");
    });
}

#[test]
fn a_line_of_10_mebibytes_comes_whole_in_its_parts() {
    each(Language::oldest_and_newest(), |language| {
        let source = match language.key() {
            "node" => {
                "exports.handle = async function () { console.log('x'.repeat(10 << 20)); return 'served'; };"
            }
            _ => "def handle(event, context):\n    print('x' * (10 << 20))\n    return 'served'\n",
        };
        let shim = Setup::new(language, source).start();
        assert_eq!(shim.get("/").text(), "served");
        crate::harness::until("all of it is logged", || {
            shim.all_logged().iter().map(|record| record.line.len()).sum::<usize>() >= 10 << 20
        });
        assert_eq!(shim.get("/").text(), "served", "{language:?}");
    });
}

#[test]
fn logs_that_nobody_reads_hold_up_no_answer() {
    // As LOG frames, which come through the socket of the answers.
    let script = "def on_request(number, path, body):\n    \
                  send(LOG, number, {'stream': 'stdout'}, b'x' * (1 << 20) + b'\\n')\n    answer(number)\n";
    let shim = Setup::scripted(script).with_an_unread_log().set("SCW_TIMEOUT_MS", "10000").start();
    for round in 0..20 {
        assert_eq!(shim.get("/").text(), "served", "{round}");
    }
    shim.signal(rustix::process::Signal::TERM);
    assert_eq!(shim.ended().code(), Some(0));
}
