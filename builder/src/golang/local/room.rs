//! A temporary directory in which the sandbox's paths have stand-ins.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::{LocalCompile, fence, unavailable};
use crate::golang::{CACHE, CompileError, MODULES, OUTPUT, SOURCES, SourceFile, TEMPORARY, TOOLCHAIN};

/// Bytes of the compiler's output that are kept.
const KEPT: u64 = 16 << 10;
/// Cores that the compiler may use, at most, when its CPU time is limited.
const CORES: u64 = 16;

pub(super) struct Room {
    directory: tempfile::TempDir,
    /// Path of the sandbox, and of this machine; those that lie in another one come first.
    paths: Vec<(&'static str, PathBuf)>,
}

/// Whether a room has the fetched modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modules {
    Seen,
    Absent,
}

/// A run of the go tool, in the sandbox's paths.
pub(super) struct Call<'c> {
    pub argv: &'c [String],
    pub environment: &'c BTreeMap<String, String>,
    pub workdir: &'c str,
    pub timeout: Duration,
    /// Whether it needs one: loopback, to the forwarder.
    pub network: bool,
}

impl Room {
    /// `modules` says whether fetched modules are to be seen in it.
    pub(super) fn new(compiler: &LocalCompile, modules: Modules) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("zipship-go-").tempdir()?;
        let of = |name: &str| directory.path().join(name);
        let out = Path::new(OUTPUT).parent().map_or(OUTPUT, |parent| parent.to_str().unwrap_or(OUTPUT));
        let mut paths = vec![
            (SOURCES, of("src")),
            (TEMPORARY, of("tmp")),
            (out, of("out")),
            (CACHE, compiler.cache.clone()),
            (TOOLCHAIN, compiler.toolchain.clone()),
        ];
        for (_, path) in paths.iter().filter(|(inside, _)| *inside != TOOLCHAIN) {
            fs::create_dir_all(path)?;
        }
        if modules == Modules::Seen {
            paths.insert(0, (MODULES, compiler.modules.clone()));
        }
        Ok(Self { directory, paths })
    }

    /// A path of the sandbox on this machine.
    pub(super) fn outside(&self, path: &str) -> PathBuf {
        let stand_in = |(inside, outside): &(&str, PathBuf)| {
            Path::new(path).strip_prefix(inside).ok().map(|rest| outside.join(rest))
        };
        // `join` of an empty rest leaves a slash behind the path, which Go's variables do not want.
        self.paths.iter().find_map(stand_in).map_or_else(|| path.into(), |path| path.components().collect())
    }

    /// A variable's value: a path, a URL of one, or something else.
    fn variable(&self, value: &str) -> PathBuf {
        match value.strip_prefix("file://") {
            Some(path) => format!("file://{}", self.outside(path).display()).into(),
            None => self.outside(value),
        }
    }

    /// The compiler's words without this machine's paths.
    fn as_inside(&self, text: &str) -> String {
        self.paths.iter().fold(text.to_owned(), |text, (inside, outside)| {
            text.replace(&*outside.to_string_lossy(), inside)
        })
    }

    pub(super) fn lay_out(&self, files: &[SourceFile]) -> io::Result<()> {
        for file in files {
            let path = self.outside(SOURCES).join(&file.path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mode = if file.executable { 0o755 } else { 0o644 };
            let mut target = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
            io::Write::write_all(&mut target, &file.bytes)?;
        }
        Ok(())
    }

    /// How it ended, and what it said.
    pub(super) fn run(&self, call: &Call<'_>) -> Result<(ExitStatus, String), CompileError> {
        let log = self.directory.path().join("log");
        let output = fs::File::create(&log).map_err(unavailable)?;
        let mut argv = call.argv.iter().map(|argument| self.outside(argument));
        let tool =
            argv.next().ok_or_else(|| CompileError::Unavailable("the command line is empty".into()))?;
        if !tool.is_file() {
            return Err(CompileError::Unavailable(format!("there is no {}", tool.display())));
        }
        let mut command = if call.network { Command::new(&tool) } else { fence::without_network(&tool) };
        let mut child = command
            .args(argv)
            .env_clear()
            .envs(call.environment.iter().map(|(name, value)| (name, self.variable(value))))
            .current_dir(self.outside(call.workdir))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(unavailable)?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(|error| CompileError::Unavailable(format!("{}: {error}", tool.display())))?;
        fence::limit(Some(Pid::from_child(&child)), CORES * call.timeout.as_secs());
        let status = wait(&mut child, call.timeout).map_err(unavailable)?.ok_or(CompileError::TimedOut)?;
        let mut bytes = Vec::new();
        fs::File::open(&log).and_then(|log| log.take(KEPT).read_to_end(&mut bytes)).map_err(unavailable)?;
        Ok((status, self.as_inside(&String::from_utf8_lossy(&bytes)).trim_end().to_owned()))
    }
}

/// Waits for the go tool; `None` when it took too long and was killed with everything it had started.
fn wait(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            rustix::process::kill_process_group(Pid::from_child(child), rustix::process::Signal::KILL)?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
