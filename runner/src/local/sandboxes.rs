//! From a request to a sandbox and back to nothing: the launcher's part of the states in `instance`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci::Digest;
use rustix::process::{Pid, Signal, WaitStatus};
use serde_json::Value;

use super::launcher::{Caller, Job, Launcher};
use super::overlay::RootKey;
use super::spec::{self, Frame};
use super::wire::{self, Answer, CompileCall, FromLauncher, PrecompileCall};
use super::{check, compile, descriptors, foreign, inlet, oci_runtime};
use crate::{CompileOutcome, Exited, Family, InstanceInfo, InstanceSpec, InstanceState, RunnerError};

/// How long the runtime may take to make a sandbox.
const CREATE: Duration = Duration::from_secs(30);

/// Bytes of a list's packet that instances may fill.
const LIST_BYTES: usize = wire::PACKET_MAX - 1024;

/// One sandbox, from the request until nothing of it is left.
#[derive(Debug)]
pub(crate) struct Sandbox {
    kind: Kind,
    state: InstanceState,
    labels: BTreeMap<String, String>,
    /// The runtime while it is making the sandbox, then the sandbox's first process.
    process: Option<Pid>,
    /// Whether the runtime has made it. Until then a stop waits: a runtime that is killed leaves half a sandbox.
    made: bool,
    /// When `process` is killed.
    kill_at: Option<Instant>,
    /// Why nobody may have the sandbox: it was never made.
    failure: Option<RunnerError>,
    stoppers: Vec<Caller>,
}

#[derive(Debug)]
enum Kind {
    Instance { starter: Caller, root: RootKey },
    Compile(CompileJob),
}

/// A compile or precompile job.
#[derive(Debug)]
struct CompileJob {
    caller: Caller,
    /// The image's, when it runs in one.
    root: Option<RootKey>,
    timeout: Duration,
    timed_out: bool,
    outcome: Option<CompileOutcome>,
}

impl CompileJob {
    fn new(caller: Caller, timeout_ms: u64, root: Option<RootKey>) -> Self {
        Self { caller, root, timeout: Duration::from_millis(timeout_ms), timed_out: false, outcome: None }
    }
}

impl Sandbox {
    fn new(kind: Kind, labels: BTreeMap<String, String>, creator: Pid) -> Self {
        Self {
            kind,
            state: InstanceState::Starting,
            labels,
            process: Some(creator),
            made: false,
            kill_at: Some(Instant::now() + CREATE),
            failure: None,
            stoppers: Vec::new(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.kill_at
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.process {
            // Not reaped yet, so the number is still its own; it may have ended, which is as good.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

impl Launcher {
    pub(super) fn start(
        &mut self,
        caller: Caller,
        spec: InstanceSpec,
        fds: [OwnedFd; 4],
    ) -> Result<(), RunnerError> {
        check::instance(&spec)?;
        descriptors::instance(&fds, self.config.uid)?;
        self.start_with(caller, spec, None, &fds, spec::instance)
    }

    pub(super) fn start_foreign(
        &mut self,
        caller: Caller,
        spec: InstanceSpec,
        fds: [OwnedFd; 3],
    ) -> Result<(), RunnerError> {
        check::instance(&spec)?;
        descriptors::foreign(&fds, self.config.uid)?;
        let [stdout, stderr, environment] = fds;
        let more = foreign::environment(environment)?;
        let output = Some([stdout.as_fd(), stderr.as_fd()]);
        self.start_with(caller, spec, output, &[], |spec, frame| spec::foreign(spec, &more, frame))
    }

    fn start_with(
        &mut self,
        caller: Caller,
        spec: InstanceSpec,
        output: Option<[BorrowedFd<'_>; 2]>,
        fds: &[OwnedFd],
        document: impl FnOnce(&InstanceSpec, Frame<'_>) -> Value,
    ) -> Result<(), RunnerError> {
        self.require_unused(&spec.id)?;
        let (root, path) = self.root_of(&spec.layers)?;
        let cgroup = self.cgroups.path(&spec.id);
        let frame = Frame { root: &path, cgroup: &cgroup, limits_swap: self.cgroups.limits_swap() };
        match self.create(&spec.id, &document(&spec, frame), output, fds) {
            Ok(pid) => {
                let kind = Kind::Instance { starter: caller, root };
                self.sandboxes.insert(spec.id, Sandbox::new(kind, spec.labels, pid));
                Ok(())
            }
            Err(error) => {
                self.release(&root);
                Err(sandbox("the bundle", &error))
            }
        }
    }

    pub(super) fn compile(
        &mut self,
        caller: Caller,
        call: CompileCall,
        log: OwnedFd,
        inlet: Option<OwnedFd>,
    ) -> Result<(), RunnerError> {
        check::compile(&call)?;
        descriptors::channel(&log, self.config.uid)?;
        inlet.iter().try_for_each(inlet::check)?;
        self.require_unused(&call.id)?;
        let Some(toolchain) = self.config.go_toolchain.clone() else {
            return Err(RunnerError::Unavailable("no Go toolchain is configured".to_owned()));
        };
        let points = self.paths.compile(&call.id);
        let cache = self.config.go_cache.as_deref();
        let uid = self.config.uid;
        let made = compile::mount_job(&call.id, &self.server_directory, uid, cache, &points, inlet.as_ref());
        let cgroup = self.cgroups.path(&call.id);
        let root = self.paths.compile_root();
        let frame = Frame { root: &root, cgroup: &cgroup, limits_swap: self.cgroups.limits_swap() };
        let network = inlet.map(|_| points.join(inlet::POINT));
        let document = spec::compile(&call, &toolchain, &points, network.as_deref(), frame);
        match made.and_then(|()| self.create(&call.id, &document, Some([log.as_fd(); 2]), &[])) {
            Ok(pid) => {
                let kind = Kind::Compile(CompileJob::new(caller, call.timeout_ms, None));
                self.sandboxes.insert(call.id, Sandbox::new(kind, BTreeMap::new(), pid));
                Ok(())
            }
            Err(error) => {
                self.unmount_job(&points);
                Err(sandbox("the compile job", &error))
            }
        }
    }

    pub(super) fn precompile(
        &mut self,
        caller: Caller,
        call: PrecompileCall,
        fds: [OwnedFd; 2],
    ) -> Result<(), RunnerError> {
        check::precompile(&call)?;
        fds.iter().try_for_each(|fd| descriptors::channel(fd, self.config.uid))?;
        self.require_unused(&call.id)?;
        let [log, results] = fds;
        let points = self.paths.compile(&call.id);
        let (root, path) = self.root_of(&call.layers)?;
        let mounted = compile::mount_sources(&call.id, &self.server_directory, self.config.uid, &points);
        let cgroup = self.cgroups.path(&call.id);
        let frame = Frame { root: &path, cgroup: &cgroup, limits_swap: self.cgroups.limits_swap() };
        let document = spec::precompile(&call, &points.join("src"), frame);
        match mounted.and_then(|()| self.create(&call.id, &document, Some([log.as_fd(); 2]), &[results])) {
            Ok(pid) => {
                let kind = Kind::Compile(CompileJob::new(caller, call.timeout_ms, Some(root)));
                self.sandboxes.insert(call.id, Sandbox::new(kind, BTreeMap::new(), pid));
                Ok(())
            }
            Err(error) => {
                self.unmount_job(&points);
                self.release(&root);
                Err(sandbox("the precompile job", &error))
            }
        }
    }

    /// The root of an image's layers, all of which must be there. To be given back with `release`.
    fn root_of(&mut self, layers: &[Digest]) -> Result<(RootKey, PathBuf), RunnerError> {
        if let Some(missing) = layers.iter().find(|layer| !self.layers.has(layer)) {
            return Err(RunnerError::LayerMissing(missing.to_string()));
        }
        self.roots.acquire(layers).map_err(|error| sandbox("the root", &error))
    }

    fn create(
        &mut self,
        id: &str,
        document: &Value,
        output: Option<[BorrowedFd<'_>; 2]>,
        fds: &[OwnedFd],
    ) -> io::Result<Pid> {
        let bundle = self.paths.bundle(id);
        let written = oci_runtime::write_bundle(&bundle, document);
        match written.and_then(|()| self.runtime.run(id, &bundle, output, fds)) {
            Ok(pid) => {
                self.children.insert(pid, Job::Create(id.to_owned()));
                Ok(pid)
            }
            Err(error) => {
                // A full disk, most likely: half a bundle would be in the way of the next attempt.
                let _ = fs::remove_dir_all(&bundle);
                Err(error)
            }
        }
    }

    /// The runtime has made the sandbox, or has failed to.
    pub(super) fn on_created(&mut self, id: &str, success: bool) {
        let bundle = self.paths.bundle(id);
        let Some(sandbox) = self.sandboxes.get_mut(id) else { return };
        sandbox.process = None;
        let overdue = sandbox.kill_at.take().is_some_and(|at| Instant::now() >= at);
        let pid = match oci_runtime::read_pid(&bundle) {
            Ok(pid) if success => pid,
            _ => {
                let words = if overdue {
                    "the OCI runtime hung".to_owned()
                } else {
                    oci_runtime::last_words(&bundle)
                };
                sandbox.failure = Some(RunnerError::Sandbox(words));
                return self.delete(id);
            }
        };
        sandbox.process = Some(pid);
        sandbox.made = true;
        let starter = match &sandbox.kind {
            Kind::Instance { starter, .. } => Some(*starter),
            Kind::Compile(job) => {
                sandbox.kill_at = Some(Instant::now() + job.timeout);
                None
            }
        };
        match sandbox.state {
            // Asked to end while it was being made: no grace for what has not begun.
            InstanceState::Stopping => sandbox.signal(Signal::KILL),
            _ => sandbox.state = InstanceState::Running,
        }
        if let Some(starter) = starter {
            self.reply(starter, Ok(Answer::Done));
        }
        match self.strays.remove(&pid) {
            Some(status) => self.on_ended(id, status),
            None => drop(self.children.insert(pid, Job::Init(id.to_owned()))),
        }
    }

    /// A sandbox's first process has ended, and the kernel has ended all others with it.
    pub(super) fn on_ended(&mut self, id: &str, status: WaitStatus) {
        let out_of_memory = self.cgroups.out_of_memory(id);
        let Some(sandbox) = self.sandboxes.get_mut(id) else { return };
        sandbox.process = None;
        sandbox.kill_at = None;
        let (code, signal) = (status.exit_status(), status.terminating_signal());
        if let Kind::Compile(job) = &mut sandbox.kind {
            job.outcome = Some(match (code, signal) {
                _ if job.timed_out => CompileOutcome::TimedOut,
                (Some(0), _) => CompileOutcome::Exited(0),
                _ if out_of_memory => CompileOutcome::OutOfMemory,
                (Some(code), _) => CompileOutcome::Exited(code),
                (None, signal) => CompileOutcome::Killed(signal.unwrap_or(0)),
            });
        } else {
            let exited = Exited { instance: id.to_owned(), code, signal, out_of_memory };
            self.tell(&FromLauncher::Exited(exited), Vec::new());
        }
        self.delete(id);
    }

    fn delete(&mut self, id: &str) {
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            sandbox.state = InstanceState::Cleaning;
        }
        match self.runtime.delete(id) {
            Ok(pid) => drop(self.children.insert(pid, Job::Delete(id.to_owned()))),
            Err(error) => {
                tracing::error!(instance.id = id, %error, "the OCI runtime can't be started");
                self.on_deleted(id, false);
            }
        }
    }

    /// The runtime has removed the sandbox: so do we, and tell whoever waits.
    pub(super) fn on_deleted(&mut self, id: &str, success: bool) {
        let Some(sandbox) = self.sandboxes.remove(id) else { return };
        if !success {
            tracing::warn!(instance.id = id, "the OCI runtime could not remove all of it");
        }
        if let Err(error) = fs::remove_dir_all(self.paths.bundle(id)) {
            tracing::warn!(instance.id = id, %error, "a bundle stays behind");
        }
        match sandbox.kind {
            Kind::Instance { starter, root } => {
                self.release(&root);
                if let Some(failure) = sandbox.failure {
                    self.reply(starter, Err(failure));
                }
            }
            Kind::Compile(job) => {
                self.unmount_job(&self.paths.compile(id));
                job.root.iter().for_each(|root| self.release(root));
                let failure = sandbox.failure.unwrap_or(RunnerError::Disconnected);
                self.reply(job.caller, job.outcome.map(Answer::Compiled).ok_or(failure));
            }
        }
        for stopper in sandbox.stoppers {
            self.reply(stopper, Ok(Answer::Done));
        }
    }

    pub(super) fn limit_cpu(
        &mut self,
        caller: Caller,
        id: String,
        millicores: u32,
    ) -> Result<(), RunnerError> {
        match self.sandboxes.get(&id) {
            Some(Sandbox { state: InstanceState::Running, kind: Kind::Instance { .. }, .. }) => {}
            _ => return Err(RunnerError::NotFound(id)),
        }
        let pid = self.runtime.limit_cpu(&id, millicores).map_err(|error| sandbox("the runtime", &error))?;
        self.children.insert(pid, Job::Limit(caller, id));
        Ok(())
    }

    /// Gives out a socket inside an instance's network.
    pub(super) fn socket(&mut self, caller: Caller, id: String, family: Family) -> Result<(), RunnerError> {
        let Some(Sandbox { made: true, kind: Kind::Instance { .. }, process: Some(pid), .. }) =
            self.sandboxes.get(&id)
        else {
            return Err(RunnerError::NotFound(id));
        };
        let socket = foreign::socket(*pid, family).map_err(|error| sandbox("its network", &error))?;
        self.reply_with(caller, Ok(Answer::Done), vec![socket]);
        Ok(())
    }

    pub(super) fn stop(&mut self, caller: Caller, id: &str, grace: Duration) {
        let Some(sandbox) = self.sandboxes.get_mut(id) else {
            return self.reply(caller, Ok(Answer::Done));
        };
        sandbox.stoppers.push(caller);
        let until = Instant::now() + grace;
        match sandbox.state {
            InstanceState::Starting => sandbox.state = InstanceState::Stopping,
            InstanceState::Running => {
                sandbox.state = InstanceState::Stopping;
                sandbox.signal(Signal::TERM);
                // A compile job has a limit of its own already.
                sandbox.kill_at = Some(sandbox.kill_at.map_or(until, |at| at.min(until)));
            }
            // Only ever sooner than was promised before.
            InstanceState::Stopping if sandbox.made => {
                sandbox.kill_at = sandbox.kill_at.map(|at| at.min(until));
            }
            InstanceState::Stopping | InstanceState::Cleaning => {}
        }
    }

    /// Kills what is over its time: a grace, a compile job's limit, a runtime that hangs.
    pub(super) fn kill_overdue(&mut self, now: Instant) {
        for sandbox in self.sandboxes.values_mut() {
            if sandbox.kill_at.is_none_or(|at| now < at) {
                continue;
            }
            sandbox.signal(Signal::KILL);
            // The runtime's overdue end must still be told from others: its deadline stays, a second away.
            sandbox.kill_at = (!sandbox.made).then(|| now + Duration::from_secs(1));
            if let Kind::Compile(job) = &mut sandbox.kind {
                job.timed_out = sandbox.made && sandbox.state == InstanceState::Running;
            }
        }
    }

    /// Kills everything, without grace.
    pub(super) fn kill_all(&mut self) {
        for sandbox in self.sandboxes.values_mut() {
            match sandbox.state {
                InstanceState::Starting => sandbox.state = InstanceState::Stopping,
                InstanceState::Running | InstanceState::Stopping => {
                    let made = self.children.get(&sandbox.process.unwrap_or(Pid::INIT));
                    if matches!(made, Some(Job::Init(_))) {
                        sandbox.signal(Signal::KILL);
                    }
                }
                InstanceState::Cleaning => {}
            }
        }
    }

    /// The instances whose ids come after this one, by id, as many as fit into a packet.
    pub(super) fn list(&self, after: &str) -> Vec<InstanceInfo> {
        let mut instances: Vec<_> = self
            .sandboxes
            .iter()
            .filter(|(id, sandbox)| id.as_str() > after && matches!(sandbox.kind, Kind::Instance { .. }))
            .collect();
        instances.sort_unstable_by_key(|(id, _)| *id);
        let mut left = LIST_BYTES;
        let fits = |info: &InstanceInfo| {
            // Escaped, one byte of a label takes six.
            let labels = info.labels.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 6);
            let bytes = 256 + labels.sum::<usize>();
            let fits = bytes <= left || left == LIST_BYTES;
            left = left.saturating_sub(bytes);
            fits
        };
        let infos = instances.into_iter().map(|(id, sandbox)| InstanceInfo {
            id: id.clone(),
            state: sandbox.state,
            labels: sandbox.labels.clone(),
            oom_kills: self.cgroups.oom_kills(id),
        });
        infos.take_while(fits).collect()
    }

    fn require_unused(&self, id: &str) -> Result<(), RunnerError> {
        match self.sandboxes.contains_key(id) {
            true => Err(RunnerError::Exists(id.to_owned())),
            false => Ok(()),
        }
    }

    fn release(&mut self, root: &RootKey) {
        if let Err(error) = self.roots.release(root) {
            tracing::warn!(%error, "a root file system stays mounted");
        }
    }

    fn unmount_job(&self, points: &Path) {
        if let Err(error) = compile::unmount_job(points) {
            tracing::warn!(%error, path = %points.display(), "mounts of a job stay behind");
        }
    }
}

fn sandbox(what: &str, error: &io::Error) -> RunnerError {
    RunnerError::Sandbox(format!("{what}: {error}"))
}
