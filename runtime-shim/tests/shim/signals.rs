//! Signals to the shim, as operators and container runtimes send them.

use rustix::process::Signal;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, release, until};

const HOLDS: &str = r#"
def on_request(number, path, body):
    if path == '/hold':
        print('holding', flush=True)
        aside(lambda: (wait_for('go'), answer(number, 'held')))
    else:
        answer(number)
"#;

#[test]
fn each_of_three_signals_drains() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let shim = Setup::scripted(HOLDS).start();
        let held = shim.send(Request::get("/hold"));
        shim.logged("holding");
        shim.signal(signal);
        until("nobody listens", || shim.connect().is_none());
        release(&shim);
        assert_eq!(held.response().text(), "held", "{signal:?}");
        assert_eq!(shim.ended().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_exit_code_tells_which() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::TERM, Signal::INT)] {
        // The worker would answer, the grace period would be long enough.
        let shim = Setup::scripted(HOLDS).set("SCW_GRACE_MS", "600000").start();
        let _held = shim.send(Request::get("/hold"));
        shim.logged("holding");
        shim.signal(first);
        until("nobody listens", || shim.connect().is_none());
        shim.signal(second);
        assert_eq!(shim.ended().code(), Some(128 + second.as_raw()));
    }
}

#[test]
fn a_hang_up_changes_nothing_and_the_handlers_own_signals_reach_it() {
    let source = "import signal\n\
        for name in ('SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGHUP'):\n    \
        signal.signal(getattr(signal, name), lambda number, frame: print('got', signal.Signals(number).name))\n\
        def handle(event, context):\n    return 'served'\n";
    let shim = Setup::new(Language::Python, source).start();
    assert_eq!(shim.get("/").text(), "served");
    for (signal, name) in [
        (Signal::HUP, None),
        (Signal::USR1, Some("SIGUSR1")),
        (Signal::USR2, Some("SIGUSR2")),
        (Signal::WINCH, Some("SIGWINCH")),
    ] {
        shim.signal(signal);
        if let Some(name) = name {
            // Python runs it between two steps of its own: one that comes just before a wait is seen after it.
            until("the handler's function for the signal has run", || {
                assert_eq!(shim.get("/").text(), "served");
                shim.all_logged().iter().any(|record| record.line == format!("got {name}"))
            });
        }
    }
    assert_eq!(shim.get("/").text(), "served");
    assert!(!shim.all_logged().iter().any(|record| record.line == "got SIGHUP"));
}

#[test]
fn a_signal_before_the_worker_is_up_ends_in_order() {
    let source = "import time\nprint('importing')\ntime.sleep(600)\n";
    let plain = Setup::new(Language::Python, source).set("PORT", &crate::harness::free_port()).start_plain();
    let children = format!("/proc/{0}/task/{0}/children", plain.pid().as_raw_nonzero());
    until("it has a worker", || std::fs::read_to_string(&children).is_ok_and(|pids| !pids.is_empty()));
    rustix::process::kill_process(plain.pid(), Signal::TERM).expect("a signal");
    let (status, ..) = plain.ended();
    assert_eq!(status.code(), Some(0));
}
