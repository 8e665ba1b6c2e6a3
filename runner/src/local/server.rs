//! The server process: how it is started without privileges, and how long to wait before it is started again.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Access, MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal};
use secrecy::{ExposeSecret as _, SecretString};

use super::config::{LauncherConfig, server_dir};
use super::jail;
use super::spawn::Program;
use super::sys;
use super::wire::{CONFIGURATION_FD, LAUNCHER_FD, Outbox, SERVER_RESTARTS};

/// Where the server finds its end of the socketpair.
const SOCKET_NUMBER: u32 = 3;
/// Where it finds its configuration.
const CONFIGURATION_NUMBER: u32 = 4;
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
            .filter(|(name, _)| name != CONFIGURATION_FD)
            .filter(|(name, _)| config.server_without.iter().all(|without| name != without.as_str()))
            .map(|(mut name, value)| {
                name.push("=");
                name.push(value);
                name
            })
            .collect();
        environment.push(format!("{LAUNCHER_FD}={SOCKET_NUMBER}").into());
        environment.push(format!("{CONFIGURATION_FD}={CONFIGURATION_NUMBER}").into());
        environment.push(format!("{SERVER_RESTARTS}={restarts}").into());
        let program = Program::new("/proc/self/exe".as_ref(), &config.server, environment)?;
        let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
        let configuration = configuration_file(config)?;
        let fds = [input.as_fd(), output.as_fd(), error.as_fd(), theirs.as_fd(), configuration.as_fd()];
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

/// The configuration as a file without a name, to be read from its beginning.
fn configuration_file(config: &LauncherConfig) -> io::Result<File> {
    let mut file = File::from(memfd_create("configuration", MemfdFlags::CLOEXEC)?);
    file.write_all(config.server_configuration.expose_secret().as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// In the server: the configuration that its launcher was given.
///
/// # Errors
/// When this process was not started by a launcher.
pub fn configuration() -> io::Result<SecretString> {
    let number = std::env::var(CONFIGURATION_FD)
        .map_err(|_| io::Error::other("this process was not started by the launcher"))?;
    let number = number.parse().map_err(|_| io::Error::other("ZIPSHIP_CONFIGURATION_FD is no number"))?;
    let mut text = String::new();
    File::from(sys::adopt_fd(number)?).read_to_string(&mut text)?;
    Ok(text.into())
}

/// In the child, before the exec.
fn prepare(config: &LauncherConfig) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    jail::become_user(config.uid, config.gid)?;
    let directory = server_dir(&config.data_dir);
    reachable(&directory).map_err(|error| {
        let text = format!(
            "user {} can't use {}: {error}; the directories above it must let that user pass (chmod o+x), or take \
             another data directory",
            config.uid,
            directory.display()
        );
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
