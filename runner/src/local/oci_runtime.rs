//! The OCI runtime's command line. Each call is a child of the launcher, whose end it notices later.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use serde_json::Value;

use super::spawn::Program;
use super::spec::CPU_PERIOD_US;

/// Where programs are looked for, by the launcher and by the runtime.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Lines of the runtime's log that make it into an error.
const LAST_LINES: usize = 3;

/// A runtime such as `runc`, with its state in a directory of ours.
#[derive(Debug)]
pub(crate) struct OciRuntime {
    program: PathBuf,
    state: PathBuf,
    nothing: OwnedFd,
}

impl OciRuntime {
    /// Finds the program. An error names it.
    pub(crate) fn find(program: &Path, state: PathBuf) -> io::Result<Self> {
        let program = Self::locate(program).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no OCI runtime {}", program.display()))
        })?;
        let nothing = File::options().read(true).write(true).open("/dev/null")?.into();
        Ok(Self { program, state, nothing })
    }

    /// Where the program is, if it is installed.
    pub(crate) fn locate(program: &Path) -> Option<PathBuf> {
        let candidates: Vec<PathBuf> = match program.components().count() {
            1 => PATH.split(':').map(|directory| Path::new(directory).join(program)).collect(),
            _ => vec![program.to_owned()],
        };
        candidates.into_iter().find(|candidate| candidate.is_file())
    }

    /// Creates and starts what the bundle describes. `output` becomes its standard output and its standard error,
    /// `fds` its descriptors 3, 4, ... The child ends when the sandbox runs; `pid` in the bundle then names its process.
    pub(crate) fn run(
        &self,
        id: &str,
        bundle: &Path,
        output: Option<[BorrowedFd<'_>; 2]>,
        fds: &[OwnedFd],
    ) -> io::Result<Pid> {
        let preserved = fds.len().to_string();
        let mut arguments: Vec<OsString> = vec!["run".into(), "--detach".into(), "--bundle".into()];
        arguments.extend([bundle.into(), "--pid-file".into(), bundle.join("pid").into()]);
        if !fds.is_empty() {
            arguments.extend(["--preserve-fds".into(), preserved.into()]);
        }
        arguments.push(id.into());
        let [stdout, stderr] = output.unwrap_or([self.nothing.as_fd(); 2]);
        let mut all = vec![self.nothing.as_fd(), stdout, stderr];
        all.extend(fds.iter().map(AsFd::as_fd));
        self.spawn(Some(&bundle.join("log")), &arguments, &all)
    }

    /// Kills what is left of a sandbox, removes its control groups and the runtime's knowledge of it.
    pub(crate) fn delete(&self, id: &str) -> io::Result<Pid> {
        self.quiet(["delete", "--force", id].map(OsString::from).to_vec())
    }

    /// Writes the CPU limit of a running sandbox.
    pub(crate) fn limit_cpu(&self, id: &str, millicores: u32) -> io::Result<Pid> {
        let quota = u64::from(millicores) * u64::from(CPU_PERIOD_US) / 1000;
        let (quota, period) = (quota.to_string(), CPU_PERIOD_US.to_string());
        let arguments = ["update", "--cpu-period", &period, "--cpu-quota", &quota, id];
        self.quiet(arguments.map(OsString::from).to_vec())
    }

    fn quiet(&self, arguments: Vec<OsString>) -> io::Result<Pid> {
        let nothing = self.nothing.as_fd();
        self.spawn(None, &arguments, &[nothing; 3])
    }

    fn spawn(&self, log: Option<&Path>, arguments: &[OsString], fds: &[BorrowedFd<'_>]) -> io::Result<Pid> {
        let mut all: Vec<OsString> = vec!["--root".into(), self.state.clone().into()];
        if let Some(log) = log {
            all.extend(["--log".into(), log.into(), "--log-format".into(), "json".into()]);
        }
        all.extend(arguments.iter().cloned());
        let environment = [format!("PATH={PATH}")];
        Program::new(OsStr::new(&self.program), all, environment)?.spawn(fds, || Ok(()))
    }
}

/// Writes a bundle: a directory with the sandbox's description.
pub(crate) fn write_bundle(bundle: &Path, document: &Value) -> io::Result<()> {
    let document = serde_json::to_vec(document)?;
    fs::create_dir(bundle)?;
    fs::write(bundle.join("config.json"), document)
}

/// The process id that the runtime wrote when the sandbox was started.
pub(crate) fn read_pid(bundle: &Path) -> io::Result<Pid> {
    let text = fs::read_to_string(bundle.join("pid"))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other(format!("the runtime wrote {text:?} for a process id")))
}

/// The runtime's last words about a sandbox that it could not start.
pub(crate) fn last_words(bundle: &Path) -> String {
    let log = fs::read_to_string(bundle.join("log")).unwrap_or_default();
    let message = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let severe = matches!(line["level"].as_str()?, "error" | "fatal");
        severe.then(|| line["msg"].as_str().map(str::to_owned))?
    };
    let mut messages: Vec<String> = log.lines().filter_map(message).collect();
    messages.dedup();
    let first = messages.len().saturating_sub(LAST_LINES);
    match messages.get(first..) {
        None | Some([]) => "the OCI runtime failed and said nothing".to_owned(),
        Some(last) => last.join("; "),
    }
}
