//! The shim as the first process of a container, and where containers take things away from it.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::http::{Connection, Request};
use crate::harness::{Language, Plain, Setup, free_port, until};

/// Its own namespaces; without being root through a user namespace.
fn unshare(options: &[&'static str]) -> Vec<&'static str> {
    let mut command = vec!["unshare"];
    if !rustix::process::geteuid().is_root() {
        command.extend(["--user", "--map-root-user"]);
    }
    command.extend(options);
    command
}

const ORPHANS: &str = "
import os, time
def handle(event, context):
    for _ in range(200):
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.05)
            os._exit(0)
    for _ in range(200):
        os.wait()
    return 'forked'
";

fn get(port: &str) -> crate::harness::http::Response {
    let mut stream = None;
    until("the port is open", || {
        stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok();
        stream.is_some()
    });
    Connection::tcp(stream.expect("a connection")).send(Request::get("/")).response()
}

fn children(parent: i32) -> Vec<i32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let pids = std::fs::read_to_string(path).unwrap_or_default();
    pids.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

fn has_zombies(parent: i32) -> bool {
    children(parent).iter().any(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

#[test]
fn as_the_first_process_it_reaps_orphans_and_ends_at_a_signal() {
    let port = free_port();
    let wrapper = unshare(&["--pid", "--fork", "--mount-proc", "--kill-child"]);
    let plain = Setup::new(Language::Python, ORPHANS).set("PORT", &port).wrapped(&wrapper).start_plain();
    assert_eq!(get(&port).text(), "forked");
    let outer = plain.pid().as_raw_nonzero().get();
    let [first] = children(outer)[..] else { panic!("one child of unshare") };
    until("only the worker is left", || children(first).len() == 1 && !has_zombies(first));
    kill_process(Pid::from_raw(first).expect("a process"), Signal::TERM).expect("a signal");
    let (status, _, stderr) = plain.ended();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[test]
fn elsewhere_it_reaps_200_orphans_too() {
    let port = free_port();
    let plain = Setup::new(Language::Python, ORPHANS).set("PORT", &port).start_plain();
    assert_eq!(get(&port).text(), "forked");
    let shim = plain.pid().as_raw_nonzero().get();
    until("only the worker is left", || children(shim).len() == 1 && !has_zombies(shim));
}

/// A worker that uses what a home, a user's name and a place to write would be for.
fn served_by(wrapper: &[&str], expected: &str) {
    let source = "import os\ndef handle(event, context):\n    try:\n        open('written', 'w').close()\n        \
                  writes = 'writes'\n    except OSError:\n        writes = 'does not'\n    \
                  return '%d %s' % (os.getuid(), writes)\n";
    let port = free_port();
    let setup = Setup::new(Language::Python, source).set("PORT", &port).set("HOME", "/nonexistent");
    // Others may read the code, nobody but root may write there.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(setup.code(), readable).expect("permissions");
    let plain: Plain = setup.system_python().wrapped(wrapper).start_plain();
    assert_eq!(get(&port).text(), expected);
    let (status, _, stderr) = {
        kill_process(plain.pid(), Signal::TERM).expect("a signal");
        plain.ended()
    };
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[test]
fn any_user_id_will_do_without_a_name_and_a_home() {
    if rustix::process::geteuid().is_root() {
        served_by(&["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"], "12345 does not");
    } else {
        // The same user outside, so the code's directory is its own.
        served_by(&["unshare", "--user", "--map-user=12345"], "12345 writes");
    }
}

#[test]
fn a_root_that_cannot_be_written_will_do() {
    let remount = "awk '{print $5}' /proc/self/mountinfo | grep -v '^/\\(proc\\|sys\\|dev\\)' | while read -r at; do \
                   mount -o remount,bind,ro \"$at\" || exit 1; done && exec \"$@\"";
    let wrapper = unshare(&["--mount", "sh", "-c", remount, "sh"]);
    served_by(&wrapper, "0 does not");
}
