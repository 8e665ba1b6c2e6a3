//! The Go compiler, in the runner's sandbox: sources on disk for it to see, the program back. Modules come first, in
//! a sandbox of their own that reaches nothing but a forwarder here.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
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

use super::{
    Platform,
    scratch::{Scratch, words},
};
use crate::{
    effect::effect,
    logs::{About, Logs},
    store::deploys::Deploy,
};

const MEMORY_MB: u32 = 1536;
/// Unpacked modules lie in memory, beside the compiler.
const MEMORY_WITH_MODULES_MB: u32 = 2048;
const TIMEOUT: Duration = Duration::from_secs(120);
/// For a sandbox to be made.
const START: Duration = Duration::from_secs(30);

/// Compiles through the runner. To be used on a thread that may block.
pub(super) struct SandboxCompile {
    backend: Arc<dyn Backend>,
    builds: PathBuf,
    deploy_id: String,
    application_id: String,
    logs: Logs,
    runtime: Handle,
    proxy: Option<ModuleProxy>,
}

/// One run of the go tool in a sandbox.
struct Run<'j> {
    effect: &'static str,
    scratch: &'j Scratch,
    files: &'j [SourceFile],
    argv: &'j [String],
    environment: std::collections::BTreeMap<String, String>,
    workdir: &'j str,
    memory_mb: u32,
    timeout: Duration,
    inlet: Option<OwnedFd>,
}

impl SandboxCompile {
    /// For one deploy; its files go below the platform's `builds/`.
    pub(super) fn new(platform: &Platform, deploy: &Deploy) -> Self {
        Self {
            backend: Arc::clone(&platform.backend),
            builds: platform.builds.clone(),
            deploy_id: deploy.id.clone(),
            application_id: deploy.application_id.clone(),
            logs: platform.logs.clone(),
            runtime: Handle::current(),
            proxy: platform.module_proxy.clone(),
        }
    }

    fn compile_in_sandbox(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        let scratch = self.scratch().map_err(unavailable)?;
        let source = scratch.path("src");
        if let Some(download) = &job.download {
            let below = Path::new(MODULES).strip_prefix(SOURCES).unwrap_or(Path::new(MODULES));
            self.fetch(download, &source.join(below))?;
        }
        let run = Run {
            effect: "compile.run",
            scratch: &scratch,
            files: &job.files,
            argv: &job.argv,
            environment: job.environment.clone(),
            workdir: &job.workdir,
            memory_mb: if job.download.is_some() { MEMORY_WITH_MODULES_MB } else { MEMORY_MB },
            timeout: TIMEOUT,
            inlet: None,
        };
        match self.run(run)? {
            Ok(()) => program(&scratch.path("out"), job).map_err(unavailable),
            Err(words) => Err(CompileError::rejected(words)),
        }
    }

    /// Sources for the sandbox's user to read, and a place for what it makes.
    fn scratch(&self) -> io::Result<Scratch> {
        let scratch = Scratch::make(&self.builds, &self.deploy_id)?;
        scratch.readable("src")?;
        scratch.writable("out")?;
        Ok(scratch)
    }

    /// Modules into a folder, as a module proxy has them.
    fn fetch(&self, download: &Download, modules: &Path) -> Result<(), CompileError> {
        let proxy = self.proxy.as_ref().ok_or_else(|| download.unavailable())?;
        let scratch = self.scratch().map_err(unavailable)?;
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
            scratch: &scratch,
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
        let source = run.scratch.path("src");
        lay_out(&source, run.files).map_err(unavailable)?;
        let mut log = run.scratch.file("log").map_err(unavailable)?;
        let spec = CompileSpec {
            id: run.scratch.id(),
            source,
            out: run.scratch.path("out"),
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
            CompileOutcome::Exited(0) => {
                // What a failure says is told as its cause.
                let said = words(&mut log).map_err(unavailable)?;
                self.logs.event(&self.application_id, About::default(), &said);
                Ok(Ok(()))
            }
            CompileOutcome::Exited(_) => {
                let said = words(&mut log).map_err(unavailable)?;
                Ok(Err(if said.is_empty() {
                    "the Go compiler failed without a word".to_owned()
                } else {
                    said
                }))
            }
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
        self.compile_in_sandbox(job)
    }
}

fn unavailable(error: io::Error) -> CompileError {
    CompileError::Unavailable(error.to_string())
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
