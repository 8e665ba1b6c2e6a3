//! The threads of the python worker: what one handler does is no other's business.

use std::time::Instant;

use crate::harness::http::Request;
use crate::harness::{DEADLINE, Language, Setup, Shim, each, release, until};

const SOURCE: &str = "
import os, threading, time
def pieces(count):
    for _ in range(count):
        yield 'x' * 1000
        time.sleep(0.001)
def handle(event, context):
    _, kind, argument = event['path'].split('/')
    if kind == 'sleep':
        time.sleep(float(argument))
    if kind == 'compute':
        end = time.time() + float(argument)
        while time.time() < end:
            pass
    if kind == 'wait':
        while not os.path.exists('go'):
            time.sleep(0.002)
    if kind == 'stream':
        return pieces(int(argument))
    if kind == 'large':
        return 'y' * int(argument)
    if kind == 'main':
        return threading.current_thread().name
    return argument
";

fn expected(path: &str) -> Vec<u8> {
    let mut parts = path.split('/').skip(1);
    let (kind, argument) = (parts.next().expect("a kind"), parts.next().expect("an argument"));
    let count = || argument.parse::<usize>().expect("a number");
    match kind {
        "stream" => vec![b'x'; 1000 * count()],
        "large" => vec![b'y'; count()],
        _ => argument.into(),
    }
}

/// Sends all of a path's kind, one after the other, until the time is up. How many there were.
fn keeps_answering(shim: &Shim, what: &str, paths: &[&str], end: Instant) {
    while Instant::now() < end {
        for path in paths {
            let answer = shim.get(path);
            let is_right = answer.status == 200 && answer.body == expected(path);
            assert!(is_right, "{what} {path}: {} and {} bytes", answer.status, answer.body.len());
        }
    }
}

#[test]
fn answers_of_any_size_and_length_keep_apart() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, SOURCE).start();
        let end = Instant::now() + std::time::Duration::from_secs(2);
        let callers: [&[&str]; 6] = [
            &["/quick/a", "/quick/b", "/large/70000"],
            &["/large/200000", "/quick/c", "/large/65537"],
            &["/stream/5", "/large/100000"],
            &["/sleep/0.003", "/large/150000", "/stream/2"],
            &["/compute/0.007", "/quick/d"],
            &["/stream/0", "/quick/e", "/large/65536"],
        ];
        std::thread::scope(|scope| {
            for paths in callers {
                let shim = &shim;
                scope.spawn(move || keeps_answering(shim, &format!("{language:?}"), paths, end));
            }
        });
    });
}

#[test]
fn a_handler_that_waits_holds_up_no_other() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, SOURCE).start();
        // Seven of eight wait; the first waits before any other request was seen.
        let waiting: Vec<_> = (0..7).map(|n| (n, shim.send(Request::get(&format!("/wait/{n}"))))).collect();
        for n in 0..50 {
            assert_eq!(shim.get(&format!("/quick/{n}")).text(), n.to_string(), "{language:?}");
        }
        release(&shim);
        for (n, sent) in waiting {
            assert_eq!(sent.response().text(), n.to_string(), "{language:?}");
        }
    });
}

#[test]
fn a_caller_that_comes_after_a_pause_is_served_beside_one_that_waits() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, SOURCE).start();
        for n in 0..100 {
            // Quick ones, so that nobody expects a slow one; then a pause, in which the second thread goes to sleep.
            assert_eq!(shim.get(&format!("/quick/{n}")).text(), n.to_string());
        }
        std::thread::sleep(std::time::Duration::from_millis(30));
        let waiting = shim.send(Request::get("/wait/w"));
        let began = Instant::now();
        assert_eq!(shim.get("/quick/after").text(), "after", "{language:?}");
        assert!(began.elapsed() < DEADLINE);
        release(&shim);
        assert_eq!(waiting.response().text(), "w", "{language:?}");
    });
}

#[test]
fn one_request_at_a_time_runs_on_the_main_thread_and_few_threads_are_made() {
    each(Language::pythons_3(), |language| {
        let shim = Setup::new(language, SOURCE).start();
        assert_eq!(shim.get("/main/").text(), "MainThread", "{language:?}");
        for n in 0..50 {
            assert_eq!(shim.get(&format!("/sleep/0.00{}", n % 9)).status, 200);
        }
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shim.pid()));
        let worker = children.expect("children").split_whitespace().next().expect("a worker").to_owned();
        let threads = std::fs::read_dir(format!("/proc/{worker}/task")).expect("threads").count();
        assert!(threads <= 4, "{language:?}: {threads} threads for one request at a time");
        until("it goes on", || shim.get("/quick/x").text() == "x");
    });
}
