//! A sandbox that anybody may make: user, mount, network, process, IPC and host name namespaces around a folder that
//! becomes the root. In it the interpreter is user 1000, alone, without a network and without any capability.

use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use contract::environment::CONTAINER_UID;

use super::PrecompileError;
use super::plan::{Plan, failure};

/// Where system programs are, whatever the caller's PATH.
const FOLDERS: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"];
/// Bytes of the interpreter's words that are kept.
const KEPT: u64 = 1 << 20;
/// Memory of each process, in bytes; what V8 only reserves does not count.
const MEMORY: u64 = 2 << 30;
/// Largest file that may be written, in bytes.
const FILE: u64 = 256 << 20;

/// One run.
pub(super) struct Run<'a> {
    /// The folder that becomes the root.
    pub(super) root: &'a Path,
    /// What is run in it.
    pub(super) plan: &'a Plan,
    /// When it is killed.
    pub(super) timeout: Duration,
}

/// Whether this machine makes such a sandbox; told before anything is unpacked.
pub(super) fn probe() -> Result<(), PrecompileError> {
    let probed = namespaces()?.arg("true").stdin(Stdio::null()).output()?;
    if probed.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&probed.stderr).trim().to_owned();
    Err(PrecompileError::NoSandbox(format!("user namespaces are not allowed here ({words})")))
}

/// Runs to the end; answers what was printed.
pub(super) fn run(run: &Run<'_>) -> Result<io::BufReader<fs::File>, PrecompileError> {
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let limits = [
        "--core=0".to_owned(),
        format!("--data={MEMORY}"),
        format!("--fsize={FILE}"),
        format!("--cpu={}", run.timeout.as_secs().max(1)),
    ];
    let sandbox = namespaces()?;
    let mut child = Command::new(program("prlimit")?)
        .args(limits)
        .arg(sandbox.get_program())
        .args(sandbox.get_args())
        .arg(format!("--root={}", run.root.display()))
        .args(["--wd=/", "--"])
        .args(&run.plan.argv)
        .env_clear()
        .envs(&run.plan.environment)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .process_group(0)
        .spawn()?;
    let status = wait(&mut child, run.timeout)?.ok_or(PrecompileError::TimedOut)?;
    if status.success() {
        out.rewind()?;
        return Ok(io::BufReader::new(out));
    }
    match status.code() {
        Some(code) => Err(failure(code, &words(&mut err)?)),
        None => Err(PrecompileError::Failed(status.to_string())),
    }
}

/// `unshare` with all that is not shared.
fn namespaces() -> Result<Command, PrecompileError> {
    let mut command = Command::new(program("unshare")?);
    command.args(["--user", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]);
    command.args([format!("--map-user={CONTAINER_UID}"), format!("--map-group={CONTAINER_UID}")]);
    Ok(command)
}

fn program(name: &str) -> Result<PathBuf, PrecompileError> {
    let missing = || PrecompileError::NoSandbox(format!("there is no {name} (package util-linux)"));
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file()).ok_or_else(missing)
}

/// Waits; `None` when it took too long and was killed with everything it had started.
fn wait(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn words(file: &mut fs::File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(KEPT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
