//! The life of the whole: the outer process that the user sees, and the birth of the launcher.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use contract::environment::CONTAINER_UID;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, Signal, WaitOptions};

use super::cgroup::Cgroups;
use super::config::{Hangup, LauncherConfig, server_dir};
use super::launcher::Launcher;
use super::machine;
use super::overlay;
use super::paths::Paths;
use super::sys::{self, SignalFd};

/// Why nothing could be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Making sandboxes takes root.
    #[error("this needs root: sandboxes are made of namespaces, mounts and control groups")]
    NotRoot,
    /// The configuration can't be served.
    #[error("{0}")]
    Configuration(String),
    /// The machine lacks something; the text says what to do.
    #[error("{0}")]
    Lacking(String),
    /// Another one has the data directory.
    #[error(
        "the data directory {0} is in use by another server or a restore: end that one, or take another directory"
    )]
    InUse(String),
    /// The machine refused.
    #[error("{0}: {1}")]
    Machine(&'static str, #[source] io::Error),
}

/// Serves until told to end (SIGTERM, SIGINT, SIGHUP when it does not reload) or until the server ends for good; the exit code.
/// `held` is the data directory's ([`hold`]), so that whoever comes second has changed nothing there.
///
/// To be called by a process of one thread, before any runtime is started.
pub fn serve(mut config: LauncherConfig, held: File) -> Result<i32, ServeError> {
    check(&config)?;
    make_directories(&config).map_err(|error| ServeError::Machine("the data directory", error))?;
    config.data_dir = fs::canonicalize(&config.data_dir)
        .map_err(|error| ServeError::Machine("the data directory", error))?;
    let paths = Paths::new(&config.data_dir);
    let machine = |what| move |error: io::Error| ServeError::Machine(what, error);
    let signals = SignalFd::new(&[Signal::TERM, Signal::INT, Signal::HUP, Signal::CHILD])
        .map_err(machine("signals"))?;
    // Held open by this process alone: the launcher's end of it tells whether this process still lives.
    let (alive, open) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| ServeError::Machine("a pipe", error.into()))?;
    sys::unshare_for_launcher().map_err(machine("new namespaces"))?;
    match sys::fork().map_err(machine("the launcher"))? {
        Some(launcher) => {
            watch(launcher, &signals, config.hangup).map_err(machine("waiting for the launcher"))
        }
        None => {
            drop(open);
            let code = launch(config, paths, &signals, &alive).unwrap_or_else(|error| {
                tracing::error!(%error, "the launcher failed");
                1
            });
            drop(held);
            sys::exit_now(code)
        }
    }
}

fn check(config: &LauncherConfig) -> Result<(), ServeError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ServeError::NotRoot);
    }
    let threads = fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        return Err(ServeError::Configuration(format!("called in a process of {threads} threads")));
    }
    if config.uid == 0 || config.gid == 0 {
        let text = "the server must not be root: give it a user of its own, such as 60089";
        return Err(ServeError::Configuration(text.to_owned()));
    }
    if config.uid == CONTAINER_UID {
        let text = format!("the server must not be user {CONTAINER_UID}, who sandboxes are: give it another");
        return Err(ServeError::Configuration(text));
    }
    if config.go_cache.as_ref().is_some_and(|cache| cache.to_string_lossy().contains([':', ','])) {
        let text = "the path of the Go cache must not hold a colon or a comma";
        return Err(ServeError::Configuration(text.to_owned()));
    }
    machine::check(config)
}

/// The data directory is root's, so that the server can put nothing in the launcher's place.
fn make_directories(config: &LauncherConfig) -> io::Result<()> {
    fs::create_dir_all(&config.data_dir)?;
    chown(&config.data_dir, Some(0), Some(0))?;
    fs::set_permissions(&config.data_dir, Permissions::from_mode(0o755))?;
    let server = server_dir(&config.data_dir);
    if fs::symlink_metadata(&server).is_err() {
        fs::create_dir(&server)?;
        fs::set_permissions(&server, Permissions::from_mode(0o700))?;
    }
    std::os::unix::fs::lchown(&server, Some(config.uid), Some(config.gid))?;
    let launcher = Paths::new(&config.data_dir);
    fs::create_dir_all(launcher.root())?;
    chown(launcher.root(), Some(0), Some(0))?;
    fs::set_permissions(launcher.root(), Permissions::from_mode(0o700))
}

/// Keeps everybody from serving from a data directory, which is made when there is none, until the answer is dropped.
///
/// # Errors
/// [`ServeError::InUse`] while somebody does; [`ServeError::Machine`].
pub fn hold(data_dir: &Path) -> Result<File, ServeError> {
    let paths = Paths::new(data_dir);
    let made = fs::create_dir_all(paths.root());
    let made = made.and_then(|()| fs::set_permissions(paths.root(), Permissions::from_mode(0o700)));
    made.map_err(|error| ServeError::Machine("the data directory", error))?;
    let file = File::create(paths.lock()).map_err(|error| ServeError::Machine("the lock", error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ServeError::InUse(data_dir.display().to_string())),
        Err(error) => Err(ServeError::Machine("the lock", error.into())),
    }
}

/// The outer process: passes on what it is told, and ends when the launcher does.
fn watch(launcher: Pid, signals: &SignalFd, hangup: Hangup) -> io::Result<i32> {
    loop {
        match poll(&mut [PollFd::new(signals, PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(signal) = signals.next()? {
            let pass_on = match (signal, hangup) {
                (Signal::CHILD, _) => continue,
                (Signal::HUP, Hangup::Reloads) => Signal::HUP,
                _ => Signal::TERM,
            };
            // Gone already: the wait below finds out.
            let _ = rustix::process::kill_process(launcher, pass_on);
        }
        if let Some((_, status)) = rustix::process::waitpid(Some(launcher), WaitOptions::NOHANG)? {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            return Ok(status.exit_status().or(signal).unwrap_or(1));
        }
    }
}

/// The launcher, as PID 1 of the new namespace.
fn launch(config: LauncherConfig, paths: Paths, signals: &SignalFd, alive: &OwnedFd) -> io::Result<i32> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if hung_up(alive)? {
        return Ok(1);
    }
    // Ctrl-C is for the outer process; here it would hit runtimes at work.
    rustix::process::setsid()?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None)?;
    let cgroups = Cgroups::new(&config.data_dir);
    cgroups.remove_all(Duration::from_secs(5))?;
    paths.prepare()?;
    let server_directory = File::open(server_dir(&config.data_dir))?.into();
    // Layers are named relative to here (see `overlay`).
    std::env::set_current_dir(paths.layers())?;
    let opaque = overlay::probe(&paths.roots().join("probe"))?;
    let launcher = Launcher::new(config, paths, cgroups, server_directory, opaque)?;
    launcher.remove_sockets();
    launcher.run(signals)
}

fn hung_up(alive: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(alive, PollFlags::IN)];
    poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(fds[0].revents().contains(PollFlags::HUP))
}
