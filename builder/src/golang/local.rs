//! The compiler on this machine, without a sandbox.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{CACHE, Compile, CompileError, CompileJob, OUTPUT, SOURCES, SourceFile, TEMPORARY, TOOLCHAIN};

/// Bytes of the compiler's output that are kept.
const KEPT: u64 = 16 << 10;

/// Compiles with a Go toolchain of this machine, in a temporary directory, with a clean environment and a
/// time limit, but **without a sandbox**: for one's own code on one's own machine, never for strangers'.
#[derive(Debug, Clone)]
pub struct LocalCompile {
    /// The toolchain's root, which has `bin/go`.
    pub toolchain: PathBuf,
    /// Go's build cache; made when missing.
    pub cache: PathBuf,
    /// How long a compilation may take.
    pub timeout: Duration,
}

impl Compile for LocalCompile {
    fn compile(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        let unavailable = |error: io::Error| CompileError::Unavailable(error.to_string());
        let room = Room::new(self).map_err(unavailable)?;
        room.lay_out(&job.files).map_err(unavailable)?;
        let (status, output) = room.run(job, self.timeout)?;
        if status.success() {
            return fs::read(room.outside(&job.output)).map_err(unavailable);
        }
        Err(CompileError::Rejected(room.as_inside(&output).trim_end().to_owned()))
    }
}

/// A temporary directory in which the sandbox's paths have stand-ins.
struct Room {
    directory: tempfile::TempDir,
    /// Path of the sandbox, and of this machine.
    paths: Vec<(&'static str, PathBuf)>,
}

impl Room {
    fn new(compiler: &LocalCompile) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("zipship-go-").tempdir()?;
        let of = |name: &str| directory.path().join(name);
        let out = Path::new(OUTPUT).parent().map_or(OUTPUT, |parent| parent.to_str().unwrap_or(OUTPUT));
        let paths = vec![
            (SOURCES, of("src")),
            (TEMPORARY, of("tmp")),
            (out, of("out")),
            (CACHE, compiler.cache.clone()),
            (TOOLCHAIN, compiler.toolchain.clone()),
        ];
        for (_, path) in &paths[..4] {
            fs::create_dir_all(path)?;
        }
        Ok(Self { directory, paths })
    }

    /// A path of the sandbox on this machine.
    fn outside(&self, path: &str) -> PathBuf {
        let stand_in = |(inside, outside): &(&str, PathBuf)| {
            Path::new(path).strip_prefix(inside).ok().map(|rest| outside.join(rest))
        };
        // `join` of an empty rest leaves a slash behind the path, which Go's variables do not want.
        self.paths.iter().find_map(stand_in).map_or_else(|| path.into(), |path| path.components().collect())
    }

    /// The compiler's words without this machine's paths.
    fn as_inside(&self, text: &str) -> String {
        self.paths.iter().fold(text.to_owned(), |text, (inside, outside)| {
            text.replace(&*outside.to_string_lossy(), inside)
        })
    }

    fn lay_out(&self, files: &[SourceFile]) -> io::Result<()> {
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

    fn run(&self, job: &CompileJob, timeout: Duration) -> Result<(ExitStatus, String), CompileError> {
        let unavailable = |error: io::Error| CompileError::Unavailable(error.to_string());
        let log = self.directory.path().join("log");
        let output = fs::File::create(&log).map_err(unavailable)?;
        let mut argv = job.argv.iter().map(|argument| self.outside(argument));
        let tool =
            argv.next().ok_or_else(|| CompileError::Unavailable("the command line is empty".into()))?;
        let mut child = Command::new(&tool)
            .args(argv)
            .env_clear()
            .envs(job.environment.iter().map(|(name, value)| (name, self.outside(value))))
            .current_dir(self.outside(&job.workdir))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(unavailable)?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(|error| CompileError::Unavailable(format!("{}: {error}", tool.display())))?;
        let status = wait(&mut child, timeout).map_err(unavailable)?.ok_or(CompileError::TimedOut)?;
        let mut bytes = Vec::new();
        fs::File::open(&log).and_then(|log| log.take(KEPT).read_to_end(&mut bytes)).map_err(unavailable)?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
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
            if let Some(group) = rustix::process::Pid::from_raw(child.id() as i32) {
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
