//! The server process: how it is started without privileges, and how long to wait before it is started again.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::Access;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal};
use secrecy::ExposeSecret as _;

use super::config::{LauncherConfig, server_dir};
use super::jail;
use super::spawn::Program;
use super::wire::{LAUNCHER_FD, Outbox, SERVER_RESTARTS};

/// Where the server finds its end of the socketpair.
const SOCKET_NUMBER: u32 = 3;
/// A server that lived this long is taken for healthy: its next death is the first again.
const HEALTHY: Duration = Duration::from_secs(60);
/// The longest pause before a restart.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    pub pid: Pid,
    /// Our end; `None` once it was found closed.
    pub socket: Option<OwnedFd>,
    pub outbox: Outbox,
    pub started: Instant,
    /// When it is killed: it can't be talked to any more, and may be on its way out by itself.
    pub kill_at: Option<Instant>,
}

impl Server {
    /// Starts it; `restarts` says how often one died before it.
    pub(crate) fn start(config: &LauncherConfig, restarts: u32) -> io::Result<Self> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut environment: Vec<OsString> = std::env::vars_os()
            .filter(|(name, _)| name != LAUNCHER_FD && name != SERVER_RESTARTS)
            .filter(|(name, _)| config.server_environment.iter().all(|(own, _)| name != own.as_str()))
            .map(|(mut name, value)| {
                name.push("=");
                name.push(value);
                name
            })
            .collect();
        for (name, value) in &config.server_environment {
            environment.push(format!("{name}={}", value.expose_secret()).into());
        }
        environment.push(format!("{LAUNCHER_FD}={SOCKET_NUMBER}").into());
        environment.push(format!("{SERVER_RESTARTS}={restarts}").into());
        let program = Program::new("/proc/self/exe".as_ref(), &config.server, environment)?;
        let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
        let fds = [input.as_fd(), output.as_fd(), error.as_fd(), theirs.as_fd()];
        let pid = program.spawn(&fds, || prepare(config))?;
        Ok(Self {
            pid,
            socket: Some(ours),
            outbox: Outbox::default(),
            started: Instant::now(),
            kill_at: None,
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It can be gone already; its end is noticed elsewhere.
        let _ = rustix::process::kill_process(self.pid, signal);
    }
}

/// In the child, before the exec.
fn prepare(config: &LauncherConfig) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    jail::become_user(config.uid, config.gid)?;
    let directory = server_dir(&config.data_dir);
    reachable(&directory).map_err(|error| {
        let text = format!("user {} can't use {}: {error}", config.uid, directory.display());
        io::Error::other(text)
    })
}

fn reachable(directory: &Path) -> io::Result<()> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(rustix::fs::access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?)
}

/// How long to wait before a server is started again that died for the `deaths`-th time in a row.
pub(crate) fn pause(deaths: u32) -> Duration {
    match deaths {
        0 | 1 => Duration::from_millis(100),
        _ => Duration::from_secs(1 << (deaths - 2).min(5)).min(PAUSE_MAX),
    }
}

/// Deaths in a row, after one more, of a server that lived for `life`.
pub(crate) fn count_death(deaths: u32, life: Duration) -> u32 {
    if life >= HEALTHY { 1 } else { deaths + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_slow_down_and_a_healthy_life_forgives() {
        let pauses: Vec<u64> = (1..=8).map(|deaths| pause(deaths).as_millis() as u64).collect();
        assert_eq!(pauses, [100, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(count_death(7, Duration::from_secs(1)), 8);
        assert_eq!(count_death(7, HEALTHY), 1);
    }
}
