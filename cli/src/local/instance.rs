//! One start of the shim: its socket, pipes and configuration, as the server makes them.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use contract::environment::SCW_UPSTREAM_PORT;
use contract::instance::{Control, ReadyLine};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;

use super::plan::Plan;
use super::process::Process;

/// A shim that has been started.
pub(crate) struct Instance {
    pub(crate) process: Process,
    /// Where it takes requests, as behind the gateway.
    pub(crate) socket: PathBuf,
    pub(crate) ready: pipe::Receiver,
    pub(crate) log: pipe::Receiver,
}

/// Starts the shim of a plan; it listens on `socket`, a path that does not exist yet. To be called on the
/// runtime's main thread (see [`Process::spawn`]).
///
/// The program that is started is this one (`commands/local_shim.rs`), which arranges the descriptors and
/// becomes the shim.
pub(crate) fn start(plan: &Plan, socket: PathBuf) -> io::Result<Instance> {
    let (ready, ready_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let (log, log_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut control = plan.control.clone();
    if plan.needs_port {
        control.environment.insert(SCW_UPSTREAM_PORT.to_owned(), free_port()?.to_string());
    }
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("local-shim")
        .arg("--socket")
        .arg(&socket)
        .args(["--parent", &std::process::id().to_string(), "--"])
        .args(&plan.command)
        .env_clear()
        .envs(&plan.base)
        .current_dir(&plan.directory)
        .stdin(control_file(&control)?)
        .stdout(ready_writer)
        .stderr(log_writer)
        // A group of its own: Ctrl-C is for this process, which ends the shim in its turn.
        .process_group(0);
    let process = Process::spawn(&mut command)?;
    let (ready, log) = (pipe::Receiver::from_owned_fd(ready)?, pipe::Receiver::from_owned_fd(log)?);
    Ok(Instance { process, socket, ready, log })
}

/// The ready line; `None` when the shim ended without one.
pub(crate) async fn read_ready(ready: pipe::Receiver) -> Option<ReadyLine> {
    let mut text = String::new();
    BufReader::new(ready).read_line(&mut text).await.ok()?;
    serde_json::from_str(&text).ok()
}

fn control_file(control: &Control) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("control", MemfdFlags::CLOEXEC)?);
    serde_json::to_writer(&mut file, control)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file.into())
}

/// A port that was free a moment ago: old and new code of a Go function run side by side for a while.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
