//! The Go compiler, in the runner's sandbox: sources on disk for it to see, the program back. Modules come first, in
//! a sandbox of their own that reaches nothing but a forwarder here.

use std::{
    fs,
    io::{self, Read as _, Seek as _},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use builder::golang::{
    Compile, CompileError, CompileJob, Download, MODULES, PROGRAM_BYTES, SOURCES, SourceFile,
    modules::{Forwarder, ModuleLimits, ModuleProxy},
};
use runner::{Backend, CompileOutcome, CompileSpec, FORWARDER, local};
use tokio::runtime::Handle;

use super::{Platform, effect::effect};
use crate::store::new_id;

const MEMORY_MB: u32 = 1536;
/// Unpacked modules lie in memory, beside the compiler.
const MEMORY_WITH_MODULES_MB: u32 = 2048;
const TIMEOUT: Duration = Duration::from_secs(120);
/// For a sandbox to be made.
const START: Duration = Duration::from_secs(30);
/// The compiler's words as a person reads them; more than this is no help.
const LOG_BYTES: u64 = 16 << 10;

/// Compiles through the runner. To be used on a thread that may block.
pub(super) struct SandboxCompile {
    backend: Arc<dyn Backend>,
    folder: PathBuf,
    runtime: Handle,
    proxy: Option<ModuleProxy>,
}

/// One run of the go tool in a sandbox.
struct Run<'j> {
    effect: &'static str,
    folder: &'j Path,
    files: &'j [SourceFile],
    argv: &'j [String],
    environment: std::collections::BTreeMap<String, String>,
    workdir: &'j str,
    memory_mb: u32,
    timeout: Duration,
    inlet: Option<OwnedFd>,
}

impl SandboxCompile {
    /// For one deploy; its files go below the platform's `builds/` and are removed afterwards.
    pub(super) fn new(platform: &Platform, deploy_id: &str) -> Self {
        // An attempt that was cut off may still own the deploy's folder: never the same one twice.
        let folder =
            platform.builds.join(format!("{}-{}", &deploy_id[..8.min(deploy_id.len())], &new_id()[..8]));
        Self {
            backend: Arc::clone(&platform.backend),
            folder,
            runtime: Handle::current(),
            proxy: platform.module_proxy.clone(),
        }
    }

    /// Folder of the sandbox that fetches.
    fn fetching(&self) -> PathBuf {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        self.folder.with_file_name(format!("{name}-modules"))
    }

    fn compile_in_sandbox(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        let (source, out) = (self.folder.join("src"), self.folder.join("out"));
        make_folders(&self.folder, &source, &out).map_err(unavailable)?;
        if let Some(download) = &job.download {
            let below = Path::new(MODULES).strip_prefix(SOURCES).unwrap_or(Path::new(MODULES));
            self.fetch(download, &source.join(below))?;
        }
        let run = Run {
            effect: "compile.run",
            folder: &self.folder,
            files: &job.files,
            argv: &job.argv,
            environment: job.environment.clone(),
            workdir: &job.workdir,
            memory_mb: if job.download.is_some() { MEMORY_WITH_MODULES_MB } else { MEMORY_MB },
            timeout: TIMEOUT,
            inlet: None,
        };
        match self.run(run)? {
            Ok(()) => program(&out, job).map_err(unavailable),
            Err(words) => Err(CompileError::rejected(words)),
        }
    }

    /// Modules into a folder, as a module proxy has them.
    fn fetch(&self, download: &Download, modules: &Path) -> Result<(), CompileError> {
        let proxy = self.proxy.as_ref().ok_or_else(|| download.unavailable())?;
        let folder = self.fetching();
        make_folders(&folder, &folder.join("src"), &folder.join("out")).map_err(unavailable)?;
        fs::create_dir(modules).map_err(unavailable)?;
        let (inlet, far) = local::inlet().map_err(unavailable)?;
        let limits = ModuleLimits::default();
        let forwarder =
            Forwarder::start(proxy, limits, modules, move || inlet.listener(START)).map_err(unavailable)?;
        let address = format!("http://{FORWARDER}");
        let mut environment = download.environment.clone();
        environment.insert("GOPROXY".to_owned(), address.clone());
        let ran = self.run(Run {
            effect: "modules.download",
            folder: &folder,
            files: &download.files,
            argv: &download.argv,
            environment,
            workdir: &download.workdir,
            memory_mb: MEMORY_MB,
            // The forwarder gives up first, and says what took so long.
            timeout: limits.time + START,
            inlet: Some(far),
        });
        let forwarded = forwarder.finish();
        // Without a sandbox there was nobody to forward for: its reason is the better one.
        let ran = ran?;
        let forwarded = forwarded.map_err(unavailable)?;
        if let Err(words) = ran {
            return Err(Download::rejected(&words, &address));
        }
        tracing::info!(forwarded.requests, forwarded.bytes, "the modules of a Go function were fetched");
        Ok(())
    }

    /// The inner error is what the go tool said when it failed.
    fn run(&self, run: Run<'_>) -> Result<Result<(), String>, CompileError> {
        let (source, out) = (run.folder.join("src"), run.folder.join("out"));
        lay_out(&source, run.files).map_err(unavailable)?;
        let mut log = tempfile_in(run.folder).map_err(unavailable)?;
        let spec = CompileSpec {
            id: run.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            source,
            out,
            argv: run.argv.to_owned(),
            environment: run.environment,
            workdir: run.workdir.to_owned(),
            memory_mb: run.memory_mb,
            timeout: run.timeout,
            log: log.try_clone().map_err(unavailable)?.into(),
            inlet: run.inlet,
        };
        let outcome = self
            .runtime
            .block_on(effect(run.effect, self.backend.compile(spec)))
            .map_err(|error| CompileError::Unavailable(error.to_string()))?;
        match outcome {
            CompileOutcome::Exited(0) => Ok(Ok(())),
            CompileOutcome::Exited(_) => Ok(Err(words(&mut log).map_err(unavailable)?)),
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
        let compiled = self.compile_in_sandbox(job);
        for folder in [self.folder.clone(), self.fetching()] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(folder = %folder.display(), %error, "a build's files could not be removed");
                }
                _ => {}
            }
        }
        compiled
    }
}

fn unavailable(error: io::Error) -> CompileError {
    CompileError::Unavailable(error.to_string())
}

/// The folder is the server's alone; in it `src` can be read and `out` written by the sandbox's user.
fn make_folders(folder: &Path, source: &Path, out: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    fs::DirBuilder::new().mode(0o755).create(source)?;
    fs::create_dir(out)?;
    fs::set_permissions(out, fs::Permissions::from_mode(0o777))
}

fn lay_out(source: &Path, files: &[SourceFile]) -> io::Result<()> {
    for file in files {
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
