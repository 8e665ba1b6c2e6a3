//! How `zipship dev` ends, and that nothing outlives it.

use rustix::process::Signal;

use crate::harness::{Dev, Processes, Project, until};

/// Waits for a file unless it is asked for something else; starts a process of its own.
const HANDLER: &str = "const fs = require('fs');
require('child_process').spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref();
exports.handle = async (event) => {
  if (event.path === '/slow') console.log('began');
  while (event.path === '/slow' && !fs.existsSync(process.env.GO)) await new Promise((go) => setTimeout(go, 5));
  return 'done';
};
";

struct Running {
    dev: Dev,
    go: std::path::PathBuf,
    _signal: tempfile::TempDir,
}

fn running() -> Running {
    let signal = tempfile::tempdir().expect("a folder");
    let go = signal.path().join("go");
    let dev = Project::new(&[("handler.js", HANDLER)]).dev(&["--env", &format!("GO={}", go.display())]);
    Running { dev, go, _signal: signal }
}

fn began(dev: &Dev) {
    dev.event("the request runs", |event| event["line"] == "began");
}

/// The shim, the worker, and what the handler started.
fn family(dev: &Dev) -> Processes {
    let mut family = Processes::below(dev.pid());
    until("three processes", || {
        family = Processes::below(dev.pid());
        family.count() >= 3
    });
    family
}

fn all_gone(family: &Processes) {
    until("all processes are gone", || family.left().is_empty());
}

#[test]
fn ctrl_c_finishes_what_runs_and_leaves_nothing() {
    let Running { mut dev, go, _signal } = running();
    let mut slow = dev.connect();
    slow.send("/slow", &[]).unwrap();
    // Its output is shown while it runs.
    began(&dev);
    let family = family(&dev);
    dev.signal(Signal::INT);
    dev.event("stopping", |event| event["event"] == "stopping");
    std::fs::write(&go, "").unwrap();
    let answer = slow.receive().unwrap();
    assert_eq!((answer.status, answer.text()), (200, "done".into()));
    assert_eq!(dev.ended().code(), Some(0));
    assert_eq!(family.left(), Vec::<u32>::new());
    assert_eq!(dev.project.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let Running { mut dev, go: _, _signal } = running();
    let mut slow = dev.connect();
    slow.send("/slow", &[]).unwrap();
    began(&dev);
    let family = family(&dev);
    dev.signal(Signal::INT);
    dev.event("stopping", |event| event["event"] == "stopping");
    dev.signal(Signal::INT);
    assert_eq!(dev.ended().code(), Some(0));
    let cut = slow.receive();
    assert!(cut.as_ref().map_or(true, |answer| answer.status == 502), "cut off: {cut:?}");
    all_gone(&family);
    assert_eq!(dev.project.left_behind(), Vec::<std::path::PathBuf>::new());
}

/// What a detached process of the handler's own does then is beyond reach: nobody is left to end it.
#[test]
fn killing_it_ends_the_shim_and_the_worker() {
    let handler = HANDLER.lines().filter(|line| !line.contains("spawn")).collect::<Vec<_>>().join("\n");
    let mut dev = Project::new(&[("handler.js", &handler)]).dev(&[]);
    let family = Processes::below(dev.pid());
    assert_eq!(family.count(), 2, "{family:?}");
    dev.signal(Signal::KILL);
    dev.ended();
    all_gone(&family);
}

#[test]
fn a_worker_that_dies_is_started_again() {
    let source = "exports.handle = (event) => event.path === '/die' ? process.exit(1) : 'alive';\n";
    let dev = Project::new(&[("handler.js", source)]).dev(&[]);
    assert_eq!(dev.get("/die").status, 502);
    assert_eq!(dev.get("/").text(), "alive");
}
