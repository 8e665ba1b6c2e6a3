//! The Go compiler, in the runner's sandbox: sources on disk for it to see, the program back.

use std::{
    fs,
    io::{self, Read as _, Seek as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use builder::golang::{Compile, CompileError, CompileJob};
use runner::{Backend, CompileOutcome, CompileSpec};
use tokio::runtime::Handle;

use super::{Platform, effect::effect};
use crate::store::new_id;

const MEMORY_MB: u32 = 1536;
const TIMEOUT: Duration = Duration::from_secs(120);
/// The compiler's words as a person reads them; more than this is no help.
const LOG_BYTES: u64 = 16 << 10;
/// Largest program taken over.
const PROGRAM_BYTES: u64 = 256 << 20;

/// Compiles through the runner. To be used on a thread that may block.
pub(super) struct SandboxCompile {
    backend: Arc<dyn Backend>,
    folder: PathBuf,
    runtime: Handle,
}

impl SandboxCompile {
    /// For one deploy; its files go below the platform's `builds/` and are removed afterwards.
    pub(super) fn new(platform: &Platform, deploy_id: &str) -> Self {
        // An attempt that was cut off may still own the deploy's folder: never the same one twice.
        let folder =
            platform.builds.join(format!("{}-{}", &deploy_id[..8.min(deploy_id.len())], &new_id()[..8]));
        Self { backend: Arc::clone(&platform.backend), folder, runtime: Handle::current() }
    }

    fn run(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        let unavailable = |error: io::Error| CompileError::Unavailable(error.to_string());
        let (source, out) = (self.folder.join("src"), self.folder.join("out"));
        lay_out(&self.folder, &source, &out, job).map_err(unavailable)?;
        let mut log = tempfile_in(&self.folder).map_err(unavailable)?;
        let spec = CompileSpec {
            id: self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            source,
            out: out.clone(),
            argv: job.argv.clone(),
            environment: job.environment.clone(),
            workdir: job.workdir.clone(),
            memory_mb: MEMORY_MB,
            timeout: TIMEOUT,
            log: log.try_clone().map_err(unavailable)?.into(),
        };
        let outcome = self
            .runtime
            .block_on(effect("compile.run", self.backend.compile(spec)))
            .map_err(|error| CompileError::Unavailable(error.to_string()))?;
        match outcome {
            CompileOutcome::Exited(0) => program(&out, job).map_err(unavailable),
            CompileOutcome::Exited(_) => Err(CompileError::Rejected(words(&mut log).map_err(unavailable)?)),
            CompileOutcome::TimedOut => Err(CompileError::TimedOut),
            CompileOutcome::OutOfMemory => Err(CompileError::OutOfMemory),
            CompileOutcome::Killed(signal) => {
                Err(CompileError::Unavailable(format!("it was killed by signal {signal}")))
            }
        }
    }
}

impl Compile for SandboxCompile {
    fn compile(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        let compiled = self.run(job);
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "a build's files could not be removed");
        }
        compiled
    }
}

/// The folder is the server's alone; in it `src` can be read and `out` written by the sandbox's user.
fn lay_out(folder: &Path, source: &Path, out: &Path, job: &CompileJob) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    fs::DirBuilder::new().mode(0o755).create(source)?;
    fs::create_dir(out)?;
    fs::set_permissions(out, fs::Permissions::from_mode(0o777))?;
    for file in &job.files {
        let path = source.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.bytes)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// What the compiler wrote. Only a plain file counts: the folder is writable from inside the sandbox.
fn program(out: &Path, job: &CompileJob) -> io::Result<Vec<u8>> {
    let name = Path::new(&job.output).file_name().unwrap_or_default();
    let path = out.join(name);
    let metadata = fs::symlink_metadata(&path)?;
    if !metadata.is_file() || metadata.len() > PROGRAM_BYTES {
        return Err(io::Error::other("the compiler left no program of a sensible size"));
    }
    fs::read(path)
}

fn words(log: &mut fs::File) -> io::Result<String> {
    log.seek(io::SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    log.take(LOG_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok(if text.is_empty() { "the Go compiler failed without a word".to_owned() } else { text })
}

fn tempfile_in(folder: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).append(true).create_new(true).open(folder.join("log"))
}
