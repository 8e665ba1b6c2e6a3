//! Several invocations at once: in one process where the library takes several, else in several processes.

use std::collections::BTreeSet;

use super::setup;
use crate::harness::Language::{GoHttp, GoLambda, GoLambdaOfOne, LambdaHttp};
use crate::harness::http::Request;
use crate::harness::{Shim, each, release, until};

#[test]
fn a_library_that_polls_several_times_has_several_in_one_process() {
    each(vec![GoLambda, LambdaHttp], |language| {
        let shim = setup(language).set("SCW_MAX_CONCURRENCY", "2").start();
        assert_eq!(shim.ready.max_concurrency, 2);
        let both = [shim.send(Request::get("/meet")), shim.send(Request::get("/meet"))];
        for sent in both {
            assert_eq!(sent.response().status, 201, "{language:?}");
        }
    });
}

/// Waits until so many requests are in a handler's hands.
fn held(shim: &Shim, count: usize) {
    until("requests are held", || {
        let files = std::fs::read_dir(shim.code()).expect("a folder").flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with("held-")).count() == count
    });
}

#[test]
fn a_library_of_one_has_as_many_processes_as_it_takes() {
    let shim = setup(GoLambdaOfOne).set("SCW_MAX_CONCURRENCY", "3").start();
    assert_eq!(shim.ready.max_concurrency, 3);
    let first = shim.get("/pid").text().to_owned();
    assert_eq!(shim.get("/pid").text(), first, "one after another is one process's");
    let sent: Vec<_> = (0..3).map(|_| shim.send(Request::get("/hold"))).collect();
    held(&shim, 3);
    release(&shim);
    let processes: BTreeSet<_> = sent.into_iter().map(|sent| sent.response().text().to_owned()).collect();
    assert_eq!(processes.len(), 3);
    assert!(processes.contains(&first));
}

#[test]
fn the_death_of_one_process_costs_its_own_request_alone() {
    let shim = setup(GoLambdaOfOne).set("SCW_MAX_CONCURRENCY", "2").start();
    let sent = shim.send(Request::get("/hold"));
    held(&shim, 1);
    for _ in 0..3 {
        assert_eq!(shim.get("/die").status, 502);
    }
    assert_eq!(shim.get("/again").text(), "/again");
    release(&shim);
    assert_eq!(sent.response().status, 201);
}

#[test]
fn under_load_every_request_has_its_own_answer() {
    each(vec![GoLambda, GoLambdaOfOne, LambdaHttp], |language| {
        let shim = setup(language).set("SCW_MAX_CONCURRENCY", "4").set("SCW_QUEUE_SIZE", "100").start();
        std::thread::scope(|scope| {
            for client in 0..8 {
                let shim = &shim;
                scope.spawn(move || {
                    for number in 0..50 {
                        let path = format!("/{client}-{number}");
                        let answer = shim.get(&path);
                        assert_eq!((answer.status, answer.text()), (201, path.as_str()), "{language:?}");
                    }
                });
            }
        });
    });
}

#[test]
fn a_program_with_less_than_a_core_runs_one_thread_at_once_unless_its_user_says_more() {
    each(vec![GoHttp, GoLambda], |language| {
        let shim = setup(language).set("SCW_APPLICATION_MEMORY", "1024").start();
        assert_eq!(shim.get("/processors").text(), "1", "{language:?}");
        let own = setup(language).set("SCW_APPLICATION_MEMORY", "1024").set("GOMAXPROCS", "3").start();
        assert_eq!(own.get("/processors").text(), "3", "{language:?}");
    });
}
