//! Compiled caches of a function, made by the base's interpreter in the runner's sandbox. A function serves without
//! them, only later: whatever goes wrong here is logged, and the deploy goes on.

use std::{
    io::{BufReader, Seek as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use builder::{
    base::Base,
    precompile::{Caches, Portions, Precompile, PrecompileError, PrecompileJob, Room, failure, plan},
};
use contract::runtime::Runtime;
use runner::{Backend, CompileOutcome, PrecompileSpec, RESULTS_FD, RunnerError, SCRATCH, SOURCES};
use tokio::runtime::Handle;

use super::{
    Platform,
    scratch::{Scratch, words},
};
use crate::{
    effect::effect,
    instances::LocalInstances,
    logs::{About, Logs},
    store::deploys::Deploy,
};

const MEMORY_MB: u32 = 1024;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Sources of fewer bytes are compiled at every start: a sandbox takes longer.
const WORTH: u64 = 64 << 10;
/// Sources of more bytes would not be done in time.
const MOST: u64 = 32 << 20;

/// Compiles through the runner. To be used on a thread that may block.
pub(super) struct SandboxPrecompile {
    backend: Arc<dyn Backend>,
    instances: LocalInstances,
    base: Arc<Base>,
    builds: PathBuf,
    deploy_id: String,
    application_id: String,
    logs: Logs,
    runtime: Handle,
}

impl SandboxPrecompile {
    /// For one deploy, where its runtime starts faster with them.
    pub(super) fn new(
        platform: &Platform,
        deploy: &Deploy,
        runtime: Runtime,
        base: &Arc<Base>,
    ) -> Option<Self> {
        pays(runtime).then(|| Self {
            backend: Arc::clone(&platform.backend),
            instances: platform.instances.clone(),
            base: Arc::clone(base),
            builds: platform.builds.clone(),
            deploy_id: deploy.id.clone(),
            application_id: deploy.application_id.clone(),
            logs: platform.logs.clone(),
            runtime: Handle::current(),
        })
    }

    fn in_sandbox(&self, job: &PrecompileJob<'_>) -> Result<Caches, PrecompileError> {
        let scratch = Scratch::make(&self.builds, &self.deploy_id)?;
        let source = scratch.readable("src")?;
        let room =
            Room { folder: &source, inside: SOURCES, scratch: SCRATCH, results: RESULTS_FD, image: None };
        let plan = plan(job, &room)?;
        let (mut log, mut results) = (scratch.file("log")?, scratch.file("results")?);
        let config = job.base.parsed_config().map_err(|error| PrecompileError::Failed(error.to_string()))?;
        let spec = PrecompileSpec {
            id: scratch.id(),
            layers: config.rootfs.diff_ids,
            source,
            argv: plan.argv.clone(),
            environment: plan.environment.clone(),
            memory_mb: MEMORY_MB,
            timeout: TIMEOUT,
            log: log.try_clone()?.into(),
            results: results.try_clone()?.into(),
        };
        let outcome = self.runtime.block_on(effect("caches.compile", self.run(spec)));
        match outcome.map_err(|error| PrecompileError::NoSandbox(error.to_string()))? {
            CompileOutcome::Exited(0) => {
                results.rewind()?;
                plan.collect(&mut BufReader::new(results))
            }
            CompileOutcome::Exited(code) => Err(failure(code, &words(&mut log)?)),
            CompileOutcome::TimedOut => Err(PrecompileError::TimedOut),
            CompileOutcome::OutOfMemory => {
                Err(PrecompileError::Failed(format!("it needs more than {MEMORY_MB} MB of memory")))
            }
            CompileOutcome::Killed(signal) => {
                Err(PrecompileError::Failed(format!("it was killed by signal {signal}")))
            }
        }
    }

    async fn run(&self, spec: PrecompileSpec) -> Result<CompileOutcome, RunnerError> {
        // The base's layers, which the first instance of a function on it would bring, too.
        self.instances
            .unpack(&self.base.repository(), self.base.digest.as_str())
            .await
            .map_err(|failure| RunnerError::Unavailable(failure.message))?;
        self.backend.precompile(spec).await
    }
}

impl Precompile for SandboxPrecompile {
    fn precompile(&self, job: &PrecompileJob<'_>) -> Result<Caches, PrecompileError> {
        if !(WORTH..=MOST).contains(&job.source_bytes()) {
            return Ok(Caches::default());
        }
        let caches = self.in_sandbox(job).unwrap_or_else(|error| {
            tracing::warn!(deploy.id = %self.deploy_id, %error, "a function goes without compiled caches");
            let text = format!("warning: it starts without compiled caches: {error}");
            self.logs.event(&self.application_id, About::default(), &text);
            Caches::default()
        });
        Ok(caches)
    }

    fn portions(&self) -> Portions {
        Portions::Parts
    }
}

/// Whether a cold start is faster with caches.
fn pays(runtime: Runtime) -> bool {
    match runtime {
        Runtime::Python27 | Runtime::Python39 | Runtime::Python311 | Runtime::Python313 => true,
        Runtime::Node22 => true,
        // Its start is not faster.
        Runtime::Node24 => false,
        // These have no compile cache.
        Runtime::Node8
        | Runtime::Node10
        | Runtime::Node12
        | Runtime::Node14
        | Runtime::Node16
        | Runtime::Node18
        | Runtime::Node20 => false,
        Runtime::Golang => false,
    }
}
