//! Who pays for a handler that takes too long or takes its process along: its own request, and no other.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::http::{Request, Response};
use crate::harness::{Language, Setup, Shim, each, release, until};

/// How late a deadline may be noticed.
const LATE: Duration = Duration::from_secs(1);

const PYTHON: &str = "
import os, threading, time
if os.path.exists('bad'):
    os._exit(4)
if os.path.exists('slow'):
    time.sleep(1.5)
def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.002)
def handle(event, context):
    path = event['path']
    if path == '/stuck':
        threading.Event().wait()
    if path == '/hold':
        print('holding')
        wait_for('go')
    if path == '/exit':
        print('leaving')
        wait_for('leave')
        os._exit(0)
    if path == '/exit-now':
        os._exit(1)
    if path == '/exit-slow':
        open('slow', 'w').close()
        os._exit(1)
    if path.startswith('/sleep'):
        time.sleep(1.2)
    return str(os.getpid())
";

fn python() -> Setup {
    Setup::new(Language::Python, PYTHON)
}

/// Requests that are waited for elsewhere.
fn send_aside(shim: &Shim, requests: usize) -> Vec<JoinHandle<u16>> {
    let sent = (0..requests).map(|_| shim.send(Request::get("/")));
    sent.map(|sent| std::thread::spawn(move || sent.response().status)).collect()
}

/// In the order of their numbers.
fn statuses(answers: Vec<JoinHandle<u16>>) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.into_iter().map(|answer| answer.join().expect("an answer")).collect();
    statuses.sort_unstable();
    statuses
}

fn assert_timed_out(answer: &Response) {
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.TimedOut"));
}

#[test]
fn the_deadline_is_kept_within_a_second_whatever_the_handler_does() {
    const LIMIT: Duration = Duration::from_millis(700);
    each(Language::oldest_and_newest(), |language| {
        let source = match language.key() {
            "node" => {
                "exports.handle = function (event) { if (event.path === '/loop') for (;;) {}
                 return new Promise(function () {}); };"
            }
            _ => {
                "import threading\ndef handle(event, context):\n    while event['path'] == '/loop':\n        pass\n    \
                 threading.Event().wait()\n"
            }
        };
        for path in ["/loop", "/never"] {
            let shim = Setup::new(language, source).set("SCW_TIMEOUT_MS", "700").start();
            let sent = Instant::now();
            assert_timed_out(&shim.get(path));
            let took = sent.elapsed();
            assert!(took >= LIMIT && took < LIMIT + LATE, "{language:?} {path}: {took:?}");
        }
    });
}

#[test]
fn time_in_the_queue_is_not_the_handlers() {
    let shim = python()
        .set("SCW_MAX_CONCURRENCY", "1")
        .set("SCW_QUEUE_SIZE", "1")
        .set("SCW_TIMEOUT_MS", "2000")
        .start();
    let two = [shim.send(Request::get("/sleep/1")), shim.send(Request::get("/sleep/2"))];
    for sent in two {
        assert_eq!(sent.response().status, 200);
    }
}

#[test]
fn a_thread_that_is_stuck_costs_its_own_request_and_the_others_finish_where_they_are() {
    let shim = python().set("SCW_MAX_CONCURRENCY", "2").set("SCW_TIMEOUT_MS", "5000").start();
    let before = shim.get("/").text().to_owned();
    assert_timed_out(&shim.get("/stuck"));
    // The process is suspected, but its loop answers: this one goes there.
    let held = shim.send(Request::get("/hold"));
    shim.logged("holding");
    shim.logged("the worker is replaced");
    let after = shim.get("/");
    assert_eq!(after.status, 200);
    assert_ne!(after.text(), before);
    release(&shim);
    let held = held.response();
    assert_eq!((held.status, held.text()), (200, &*before));
}

#[test]
fn a_process_that_goes_takes_what_it_held_and_those_that_wait_are_served_by_the_next() {
    let shim = python().set("SCW_MAX_CONCURRENCY", "2").set("SCW_QUEUE_SIZE", "3").start();
    let guilty = shim.send(Request::get("/exit"));
    shim.logged("leaving");
    let beside = shim.send(Request::get("/hold"));
    shim.logged("holding");
    // One more than there is room for: when one is refused, the others wait.
    let waiting = send_aside(&shim, 4);
    until("one is refused", || waiting.iter().any(JoinHandle::is_finished));
    std::fs::write(shim.code().join("leave"), "").expect("a file");
    let exited = guilty.response();
    assert_eq!(exited.status, 502, "exit status 0 is a crash too: {exited:?}");
    assert_eq!(exited.header("x-zipship-error").as_deref(), Some("Runtime.WorkerKilled"));
    assert_eq!(beside.response().status, 502, "it was in the same process");
    assert_eq!(statuses(waiting), [200, 200, 200, 429]);
}

#[test]
fn the_start_of_another_worker_is_not_the_handlers_time() {
    let shim = python().set("SCW_TIMEOUT_MS", "1000").start();
    assert_eq!(shim.get("/exit-slow").status, 502);
    let sent = Instant::now();
    assert_eq!(shim.get("/").status, 200);
    assert!(sent.elapsed() > Duration::from_millis(1000), "the import takes longer than the limit");
}

#[test]
fn the_wait_before_a_restart_grows_and_begins_anew_after_a_good_life() {
    let shim = python().start();
    let bad = shim.code().join("bad");
    assert_eq!(shim.get("/").status, 200);
    std::fs::write(&bad, "").expect("a file");
    assert_eq!(shim.get("/exit-now").status, 502);
    let waits: Vec<_> =
        [100, 200, 400].map(|ms| shim.logged(&format!("is started again in {ms} ms")).ts).into();
    assert!(waits.is_sorted(), "{waits:?}");
    std::fs::remove_file(&bad).expect("removed");
    until("it serves again", || shim.get("/").status == 200);
    let since = Instant::now();
    // Longer than a second, and than it was waited for.
    until("it has lived well", || shim.get("/").status == 200 && since.elapsed() > Duration::from_secs(3));
    let before = shim.log_length();
    assert_eq!(shim.get("/exit-now").status, 502);
    assert_eq!(shim.get("/exit-now").status, 502);
    shim.logged_after(before, "is started again in 100 ms").expect("the shortest wait");
    assert_eq!(shim.get("/").status, 200);
}

#[test]
fn a_caller_that_goes_is_told_and_its_place_is_free_when_the_handler_has_ended() {
    let script = "def on_request(number, path, body):\n    if path == '/hold':\n        print('holding', flush=True)\n    \
                  else:\n        answer(number)\n\
                  def on_cancel(number, flags):\n    print('cancel %d' % flags, flush=True)\n    \
                  aside(lambda: (wait_for('go'), send(CANCELLED, number)))\n";
    let shim = Setup::scripted(script).set("SCW_MAX_CONCURRENCY", "1").start();
    let held = shim.send(Request::get("/hold"));
    shim.logged("holding");
    drop(held);
    shim.logged("cancel 0");
    assert_eq!(shim.get("/").status, 429, "the handler still runs");
    release(&shim);
    until("its place is free", || shim.get("/").status == 200);
}

#[test]
fn nodes_signal_tells_a_handler_that_its_caller_has_gone() {
    let source = "exports.handle = function (event, context) {
        if (event.path !== '/hold') return 'served';
        console.log('holding');
        return new Promise(function (resolve) {
          context.signal.addEventListener('abort', function () { console.log('aborted'); resolve(); });
        });
      };";
    let shim = Setup::new(Language::Node, source).set("SCW_MAX_CONCURRENCY", "1").start();
    let held = shim.send(Request::get("/hold"));
    shim.logged("holding");
    drop(held);
    shim.logged("aborted");
    until("its place is free", || shim.get("/").status == 200);
}

#[test]
fn without_a_queue_the_next_one_is_refused_at_once() {
    let hold = "/hold";
    for setup in [python().set("SCW_QUEUE_SIZE", "0"), python()] {
        let shim = setup.set("SCW_MAX_CONCURRENCY", "1").start();
        let held = shim.send(Request::get(hold));
        shim.logged("holding");
        let answer = shim.get("/");
        assert_eq!((answer.status, answer.header("retry-after").as_deref()), (429, Some("1")), "{answer:?}");
        release(&shim);
        assert_eq!(held.response().status, 200);
    }
}

#[test]
fn on_a_port_as_many_wait_as_may_run() {
    let shim = python().set("SCW_MAX_CONCURRENCY", "2").start_on_port();
    let running: Vec<_> = (0..2).map(|_| shim.send(Request::get("/hold"))).collect();
    until("both run", || shim.all_logged().iter().filter(|record| record.line == "holding").count() == 2);
    // Which of these come first is open: two find room in the queue, one does not.
    let waiting = send_aside(&shim, 3);
    until("one is refused", || waiting.iter().any(JoinHandle::is_finished));
    release(&shim);
    assert_eq!(statuses(waiting), [200, 200, 429]);
    for sent in running {
        assert_eq!(sent.response().status, 200);
    }
}

#[test]
fn a_loop_that_is_blocked_is_seen_and_killed_when_its_time_is_up() {
    let source = "exports.handle = function (event) { if (event.path === '/loop') for (;;) {}
        return event.path === '/never' ? new Promise(function () {}) : 'served'; };";
    let port = crate::harness::free_port();
    let setup = Setup::new(Language::Node, source).set("SCW_METRICS_PORT", &port);
    let shim = setup.set("SCW_TIMEOUT_MS", "6000").start();
    let lag = || crate::metrics::value(&port, "zipship_worker_event_loop_lag_seconds");
    let stuck = shim.send(Request::get("/loop"));
    shim.logged("has not answered a ping for 2 s");
    assert!(lag() >= 2.0, "{}", lag());
    let beside = shim.send(Request::get("/never"));
    assert_timed_out(&stuck.response());
    shim.logged("nothing that it holds can finish");
    // Its own time may be up by then.
    assert!(matches!(beside.response().status, 502 | 504));
    assert_eq!(shim.get("/").text(), "served");
    until("the lag is over", || lag() == 0.0);
}
