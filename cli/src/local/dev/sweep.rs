//! Nothing outlives `zipship dev`: orphans of shims that were killed become its children, and are ended with it.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};

/// How long this may take; a process that was killed is gone in a moment.
const LIMIT: Duration = Duration::from_secs(2);

/// From now on orphans below this process become its children.
pub(crate) fn adopt_orphans() -> std::io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Kills all children and their children.
pub(crate) fn end_children() {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            let _ = kill_process(child, Signal::KILL);
            let _ = waitpid(Some(child), WaitOptions::NOHANG);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The children of all threads. Where the kernel does not list them there are none to be found.
fn children() -> Vec<Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let pids = lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect::<Vec<i32>>());
    pids.filter_map(Pid::from_raw).collect()
}
