//! Kill points, by running other tests of this binary in a process of their own.

use std::{os::unix::process::ExitStatusExt as _, path::Path, process::Command};

use api_server::{effect::EFFECTS, killpoint, store::WRITES};

fn other_tests(name: &str, log: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(name).env(killpoint::KILL_LOG, log).stdout(std::process::Stdio::null());
    command
}

#[test]
fn every_write_passes_a_point_before_and_one_after() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut command = other_tests("", &log);
    assert!(command.args(["--skip", "killpoints"]).status().unwrap().success());
    let passed = std::fs::read_to_string(&log).unwrap();
    let passed: std::collections::BTreeSet<_> = passed.lines().collect();
    for name in WRITES {
        // Only a machine without randomness comes here.
        if *name == "namespace.fail" {
            continue;
        }
        for point in [format!("{name}.before"), format!("{name}.after")] {
            assert!(passed.contains(point.as_str()), "no test passes {point}");
        }
    }
    for point in passed {
        let name = point.trim_end_matches(".before").trim_end_matches(".after");
        assert!(WRITES.contains(&name) || EFFECTS.contains(&name), "{point} belongs to nothing listed");
    }
}

#[test]
fn the_process_dies_at_the_point_and_only_once() {
    let directory = tempfile::tempdir().unwrap();
    let (log, marker) = (directory.path().join("log"), directory.path().join("marker"));
    let mut command = other_tests("a_lost_lease", &log);
    command.env(killpoint::KILL_AT, "deploy.request.after").env(killpoint::KILL_ONCE, &marker);
    assert_eq!(command.status().unwrap().signal(), Some(9));
    let passed = std::fs::read_to_string(&log).unwrap();
    assert!(passed.ends_with("deploy.request.before\ndeploy.request.after\n"), "{passed}");
    assert!(marker.exists());
    assert!(command.status().unwrap().success());
}
