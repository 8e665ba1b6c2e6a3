//! `zipship local-shim`: the moment between a process of `invoke` or `dev` and the shim that it becomes.
//!
//! Standard input is the configuration, standard output takes the ready line, standard error the log: the
//! descriptors that any program can hand on. Here they get the numbers that the shim is told.

use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::Args;
use contract::environment::{ZIPSHIP_CONTROL_FD, ZIPSHIP_LISTEN_FD, ZIPSHIP_LOG_FD, ZIPSHIP_READY_FD};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Arguments of `local-shim`.
#[derive(Debug, Args)]
pub(crate) struct LocalShim {
    /// Where the shim is to listen.
    #[arg(long)]
    socket: PathBuf,
    /// Whose child this is: the shim ends with it.
    #[arg(long)]
    parent: i32,
    /// The shim and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the shim; comes back only when that fails.
pub(crate) fn run(arguments: &LocalShim) -> anyhow::Result<std::process::ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(arguments.parent) {
        bail!("the parent has gone");
    }
    let listener = UnixListener::bind(&arguments.socket)
        .with_context(|| format!("listening on {}", arguments.socket.display()))?;
    let [program, rest @ ..] = arguments.command.as_slice() else { bail!("no shim is named") };
    let mut shim = Command::new(program);
    shim.args(rest);
    for (name, descriptor) in [
        (ZIPSHIP_LISTEN_FD, rustix::io::dup(&listener)?),
        (ZIPSHIP_READY_FD, rustix::io::dup(std::io::stdout())?),
        (ZIPSHIP_LOG_FD, rustix::io::dup(std::io::stderr())?),
        (ZIPSHIP_CONTROL_FD, rustix::io::dup(std::io::stdin())?),
    ] {
        shim.env(name, handed_on(descriptor).to_string());
    }
    // Standard error stays the log: a shim that does not start says why there.
    let error = shim.stdin(Stdio::null()).stdout(Stdio::null()).exec();
    Err(error).with_context(|| format!("{} can't be run", PathBuf::from(program).display()))
}

/// The number of a descriptor that is left open for the shim.
fn handed_on(descriptor: OwnedFd) -> i32 {
    let number = descriptor.as_raw_fd();
    let _ = descriptor.into_raw_fd();
    number
}
