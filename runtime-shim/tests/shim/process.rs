//! What a worker process is started with, and that it never outlives the shim.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{Setup, until};

const TELLS: &str = r#"
import ctypes

def on_request(number, path, body):
    if path == '/pid':
        return answer(number, str(os.getpid()))
    with open('/proc/self/status') as status:
        told = dict(line.rstrip('\n').split(':\t', 1) for line in status if ':\t' in line)
    death = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(death))  # PR_GET_PDEATHSIG
    told['open'] = [int(name) for name in os.listdir('/proc/self/fd')]
    told['stdin'] = os.readlink('/proc/self/fd/0')
    told['leads'] = os.getpgrp() == os.getpid()
    told['death'] = death.value
    answer(number, json.dumps(told))
"#;

/// Blocks every signal and becomes what it is told to.
const BLOCKED: &str = "import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
os.execv(sys.argv[1], sys.argv[1:])";

#[test]
fn a_worker_starts_clean_and_without_privileges_to_gain() {
    for setup in [Setup::scripted(TELLS), Setup::scripted(TELLS).wrapped(&["python3", "-c", BLOCKED])] {
        let shim = setup.start();
        let told = shim.get("/").json();
        // Its socket, and the directory that it lists.
        assert_eq!(told["open"], serde_json::json!([0, 1, 2, 3, 4]), "{told}");
        assert_eq!(told["stdin"], "/dev/null");
        assert_eq!(told["SigBlk"], "0000000000000000", "{told}");
        assert_eq!((&told["NoNewPrivs"], &told["leads"]), (&"1".into(), &true.into()), "{told}");
        assert_eq!(told["death"], Signal::KILL.as_raw());
        // The shim has unblocked its own too.
        shim.signal(Signal::TERM);
        assert_eq!(shim.ended().code(), Some(0));
    }
}

#[test]
fn a_worker_dies_with_a_shim_that_is_killed() {
    let shim = Setup::scripted(TELLS).start();
    let pid = Pid::from_raw(shim.get("/pid").text().parse().expect("a number")).expect("a process");
    assert!(test_kill_process(pid).is_ok());
    kill_process(Pid::from_raw(shim.pid().cast_signed()).expect("a process"), Signal::KILL)
        .expect("a signal");
    until("the worker is gone", || test_kill_process(pid).is_err() || is_zombie(pid));
}

/// Whoever collects orphans on this machine may take its time.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
