//! What can be had without privileges: a namespace without network, and limits that the kernel keeps.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// Part of util-linux, as every distribution has it.
const UNSHARE: [&str; 2] = ["/usr/bin/unshare", "/bin/unshare"];
/// In a network of its own, which has nothing in it; with the caller's user, so that files stay the caller's.
const ARGUMENTS: [&str; 3] = ["--map-current-user", "--net", "--"];
/// Bytes of the largest file that the compiler may write.
const FILE_BYTES: u64 = 512 << 20;

/// Whether the compiler runs without network on this machine: users may make namespaces here.
#[must_use]
pub fn has_no_network() -> bool {
    static FENCED: OnceLock<bool> = OnceLock::new();
    *FENCED.get_or_init(|| {
        let quiet = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
        };
        let true_ = Path::new("/bin/true");
        unshare().is_some_and(|program| {
            quiet(Command::new(program).args(ARGUMENTS).arg(true_)).is_ok_and(|status| status.success())
        })
    })
}

/// The command of a program, without network if that is possible here.
pub(super) fn without_network(program: &Path) -> Command {
    match unshare().filter(|_| has_no_network()) {
        None => Command::new(program),
        Some(unshare) => {
            let mut command = Command::new(unshare);
            command.args(ARGUMENTS).arg(program);
            command
        }
    }
}

fn unshare() -> Option<&'static str> {
    UNSHARE.into_iter().find(|path| Path::new(path).is_file())
}

/// Limits of a process that has just been started, for it and all that it starts.
pub(super) fn limit(pid: Option<Pid>, cpu_seconds: u64) {
    let at_most = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    for (resource, value) in
        [(Resource::Fsize, FILE_BYTES), (Resource::Core, 0), (Resource::Cpu, cpu_seconds.max(1))]
    {
        // It may have ended already; and a limit that is lower here stays.
        let _ = prlimit(pid, resource, at_most(value));
    }
}
