//! Requests at once: each of these handlers answers only when another request is there too.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each};

fn both_answer(shim: &Shim) {
    let two = [shim.send(Request::get("/a")), shim.send(Request::get("/b"))];
    for sent in two {
        let answer = sent.response();
        assert_eq!((answer.status, answer.text()), (200, "met"));
    }
}

#[test]
fn node_runs_requests_at_once() {
    let source = "let first = null;
        exports.handle = function () { return new Promise(function (resolve) {
            if (first) { first('met'); resolve('met'); } else { first = resolve; } }); };";
    each(Language::nodes(), |language| {
        both_answer(&Setup::new(language, source).start());
    });
}

#[test]
fn python_runs_functions_in_threads() {
    let source = "import threading\nbarrier = threading.Barrier(2)\ndef handle(event, context):\n    \
                  barrier.wait(20)\n    return 'met'\n";
    both_answer(&Setup::new(Language::Python, source).start());
}

#[test]
fn python_runs_coroutines_on_one_loop() {
    let source = "import asyncio\nmet = []\nasync def handle(event, context):\n    met.append(1)\n    \
                  while len(met) < 2:\n        await asyncio.sleep(0.001)\n    return 'met'\n";
    both_answer(&Setup::new(Language::Python, source).start());
}

#[test]
fn many_requests_over_many_connections_get_their_own_answers() {
    each(Language::framed(), |language| {
        let source = match language.key() {
            "node" => "exports.handle = function (event) { return Promise.resolve({body: event.body}); };",
            _ => "def handle(event, context):\n    return {'body': event['body']}\n",
        };
        let shim = Setup::new(language, source).set("SCW_MAX_CONCURRENCY", "16").start();
        std::thread::scope(|scope| {
            for caller in 0..16 {
                let mut connection = shim.connect().expect("a listener");
                scope.spawn(move || {
                    for number in 0..20 {
                        // From a few bytes to more than one read.
                        let body = format!("{caller}/{number} ").repeat(1 + number * caller * 20);
                        let (answer, rest) =
                            connection.send(Request::new("POST", "/").body(body.clone())).response_and_rest();
                        assert_eq!((answer.status, answer.text() == body), (200, true));
                        connection = rest;
                    }
                });
            }
        });
    });
}
