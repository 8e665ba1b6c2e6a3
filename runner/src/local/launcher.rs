//! The launcher's loop: one thread that waits for signals, for the server's requests and for deadlines.
//!
//! ```text
//!  running ── SIGTERM, or the server ended for good ──▶ draining ── server gone ──▶ clearing ── all gone ──▶ exit
//!     │ ▲                                                  │ deadline: SIGKILL to the server
//!     ▼ │ restart, later and later
//!  server dead: every sandbox is killed, since its socket and pipes died with the server
//! ```

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use oci::Digest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use super::certificate;
use super::cgroup::Cgroups;
use super::check;
use super::config::{Hangup, LauncherConfig};
use super::descriptors;
use super::layers::Layers;
use super::oci_runtime::OciRuntime;
use super::overlay::{Opaque, Roots};
use super::paths::Paths;
use super::sandboxes::Sandbox;
use super::server::{self, Server};
use super::sys::SignalFd;
use super::wire::{self, Answer, Call, FromLauncher, Request};
use crate::RunnerError;

/// How long killed sandboxes may take to be gone before the launcher goes anyway.
const CLEARING: Duration = Duration::from_secs(10);
/// How long a server that closed its socket may take to end by itself.
const HANG_UP: Duration = Duration::from_secs(2);
/// Children at once: each running instance is one, so is each run of the runtime.
const CHILDREN_MAX: usize = 2048;
/// Layers in one packet; one is about a hundred bytes.
const LAYERS_A_PACKET: usize = 512;
/// Exit codes of a server that would only end again: done, a wrong configuration (`EX_USAGE`), never begun.
const FINAL_CODES: [i32; 3] = [0, 64, 127];

/// Who asked: a request of one life of the server. Answers to an earlier life go nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    life: u32,
    request: u64,
}

/// What a child process is for.
#[derive(Debug)]
pub(crate) enum Job {
    Server,
    Unpack(Digest),
    /// The runtime, making a sandbox.
    Create(String),
    /// A sandbox's first process.
    Init(String),
    /// The runtime, removing a sandbox.
    Delete(String),
    /// The runtime, writing a CPU limit.
    Limit(Caller, String),
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Running,
    Draining,
    Clearing { until: Instant, code: i32 },
}

/// Everything that the launcher knows.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(super) config: LauncherConfig,
    pub(super) paths: Paths,
    pub(super) cgroups: Cgroups,
    pub(super) runtime: OciRuntime,
    pub(super) roots: Roots,
    pub(super) layers: Layers,
    /// The server's directory, opened while it was ours to trust.
    pub(super) server_directory: OwnedFd,
    pub(super) sandboxes: HashMap<String, Sandbox>,
    pub(super) children: HashMap<Pid, Job>,
    /// Children of unknown purpose that ended while the runtime was making sandboxes: one may be the first
    /// process of a sandbox that ended before the runtime told us which it is.
    pub(super) strays: HashMap<Pid, WaitStatus>,
    server: Option<Server>,
    life: u32,
    deaths: u32,
    restart_at: Option<Instant>,
    phase: Phase,
}

impl Launcher {
    pub(crate) fn new(
        config: LauncherConfig,
        paths: Paths,
        cgroups: Cgroups,
        server_directory: OwnedFd,
        opaque: Opaque,
    ) -> io::Result<Self> {
        Ok(Self {
            runtime: OciRuntime::find(&config.runtime, paths.runtime_state())?,
            roots: Roots::new(paths.roots(), opaque),
            layers: Layers::new(paths.layers(), opaque),
            sandboxes: HashMap::new(),
            children: HashMap::new(),
            strays: HashMap::new(),
            server: None,
            life: 0,
            deaths: 0,
            restart_at: Some(Instant::now()),
            phase: Phase::Running,
            config,
            paths,
            cgroups,
            server_directory,
        })
    }

    /// Lives until there is nothing left to do; the exit code.
    pub(crate) fn run(mut self, signals: &SignalFd) -> io::Result<i32> {
        loop {
            self.act_on_time()?;
            if let Phase::Clearing { until, code } = self.phase
                && (self.is_idle() || Instant::now() >= until)
            {
                self.leave_nothing();
                return Ok(code);
            }
            self.flush();
            self.wait(signals)?;
            while let Some(signal) = signals.next()? {
                match (signal, self.config.hangup) {
                    (Signal::CHILD, _) => {}
                    (Signal::HUP, Hangup::Reloads) => self.reload(),
                    _ => self.drain(),
                }
            }
            self.reap()?;
            self.serve_requests();
        }
    }

    fn is_idle(&self) -> bool {
        self.sandboxes.is_empty() && self.layers.is_idle()
    }

    // Time.

    fn wait(&self, signals: &SignalFd) -> io::Result<()> {
        let timeout = self.next_deadline().map(|deadline| {
            // A millisecond more, so that the deadline is over when this returns.
            let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        if let Some(server) = &self.server
            && let Some(socket) = &server.socket
        {
            let waiting = if server.outbox.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::new(socket, PollFlags::IN | waiting));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Running | Phase::Draining => None,
            Phase::Clearing { until, .. } => Some(until),
        };
        let sandboxes = self.sandboxes.values().filter_map(Sandbox::deadline);
        let server = self.server.as_ref().and_then(|server| server.kill_at);
        sandboxes.chain(phase).chain(server).chain(self.restart_at).min()
    }

    fn act_on_time(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.kill_overdue(now);
        if let Some(server) = &mut self.server
            && server.kill_at.is_some_and(|at| now >= at)
        {
            tracing::warn!("the server did not end in time and is killed");
            server.kill_at = None;
            server.signal(Signal::KILL);
        }
        if matches!(self.phase, Phase::Running) && self.restart_at.is_some_and(|at| now >= at) {
            self.restart_at = None;
            self.life += 1;
            let server = Server::start(&self.config, self.life - 1)?;
            self.children.insert(server.pid, Job::Server);
            self.server = Some(server);
        }
        Ok(())
    }

    // The server.

    fn reload(&self) {
        if let Some(server) = &self.server {
            server.signal(Signal::HUP);
        }
    }

    fn drain(&mut self) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        match &mut self.server {
            Some(server) => {
                server.signal(Signal::TERM);
                server.kill_at = Some(Instant::now() + self.config.shutdown);
                self.phase = Phase::Draining;
            }
            None => self.clear(0),
        }
    }

    fn clear(&mut self, code: i32) {
        self.restart_at = None;
        self.layers.kill_all();
        self.kill_all();
        self.phase = Phase::Clearing { until: Instant::now() + CLEARING, code };
    }

    fn on_server_end(&mut self, status: WaitStatus) {
        let Some(server) = self.server.take() else { return };
        let code = exit_code(status);
        if matches!(self.phase, Phase::Draining) {
            // It may have been told to end before it listened for that: that is what was asked of it.
            let asked = status.terminating_signal() == Some(Signal::TERM.as_raw());
            return self.clear(if asked { 0 } else { code });
        }
        if status.exited() && FINAL_CODES.contains(&code) {
            return self.clear(code);
        }
        self.deaths = server::count_death(self.deaths, server.started.elapsed());
        let pause = server::pause(self.deaths);
        let pause_ms = pause.as_millis();
        tracing::error!(
            code,
            deaths = self.deaths,
            pause_ms,
            "the server died; its instances go, it comes back"
        );
        // Their sockets and pipes died with it, and nobody waits for layers that were not begun.
        self.layers.forget_queue();
        self.kill_all();
        self.remove_sockets();
        self.restart_at = Some(Instant::now() + pause);
    }

    /// Sockets of instances that are gone. The directory is the server's: nothing but names in it is touched.
    pub(crate) fn remove_sockets(&self) {
        use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(run) = openat(&self.server_directory, "run", flags, Mode::empty()) else { return };
        let Ok(entries) = Dir::read_from(&run) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_bytes().ends_with(b".sock") {
                // Not there any more, or a directory: neither is a socket that is left over.
                let _ = unlinkat(&run, entry.file_name(), AtFlags::empty());
            }
        }
    }

    // Children.

    fn reap(&mut self) -> io::Result<()> {
        loop {
            let (pid, status) = match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Ok(None) | Err(rustix::io::Errno::CHILD) => break,
                Err(error) => return Err(error.into()),
            };
            match self.children.remove(&pid) {
                Some(job) => self.on_child_end(job, status),
                None if self.layers.swept(pid) => self.unpack_next(),
                None => drop(self.strays.insert(pid, status)),
            }
        }
        if !self.children.values().any(|job| matches!(job, Job::Create(_))) {
            self.strays.clear();
        }
        Ok(())
    }

    fn on_child_end(&mut self, job: Job, status: WaitStatus) {
        let success = exit_code(status) == 0;
        match job {
            Job::Server => self.on_server_end(status),
            Job::Create(id) => self.on_created(&id, success),
            Job::Init(id) => self.on_ended(&id, status),
            Job::Delete(id) => self.on_deleted(&id, success),
            Job::Unpack(diff_id) => {
                let (callers, result) = self.layers.finish(&diff_id, success);
                self.tell_unpacked(&callers, &result);
                self.unpack_next();
            }
            Job::Limit(caller, _) if success => self.reply(caller, Ok(Answer::Done)),
            Job::Limit(caller, id) => {
                let text = format!("the CPU limit of {id} could not be written");
                self.reply(caller, Err(RunnerError::Sandbox(text)));
            }
        }
    }

    fn unpack_next(&mut self) {
        while let Some((diff_id, started)) = self.layers.start_next() {
            match started {
                Ok(pid) => drop(self.children.insert(pid, Job::Unpack(diff_id))),
                Err((callers, error)) => {
                    self.tell_unpacked(&callers, &Err(RunnerError::Layer(error.to_string())));
                }
            }
        }
    }

    fn tell_unpacked(&mut self, callers: &[Caller], result: &Result<(), RunnerError>) {
        for caller in callers {
            self.reply(*caller, result.clone().map(|()| Answer::Done));
        }
    }

    // Requests.

    fn serve_requests(&mut self) {
        // Bounded, so that signals have their turn.
        for _ in 0..64 {
            let Some(Server { socket: Some(socket), .. }) = &self.server else { return };
            match wire::receive::<Request>(socket.as_fd()) {
                Ok(Some((request, fds))) => {
                    descriptors::close_at_once(&fds);
                    let caller = Caller { life: self.life, request: request.id };
                    if let Err(error) = self.call(caller, request.call, fds) {
                        self.reply(caller, Err(error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) => return self.hang_up("it closed its socket"),
                Err(error) => return self.hang_up(&error.to_string()),
            }
        }
    }

    /// A server that can't be talked to is of no use: it ends or is killed, and another one starts.
    fn hang_up(&mut self, reason: &str) {
        let Some(server) = &mut self.server else { return };
        server.socket = None;
        let until = Instant::now() + HANG_UP;
        server.kill_at = Some(server.kill_at.map_or(until, |at| at.min(until)));
        tracing::debug!(reason, "the server is not listening any more");
    }

    /// Begins what is asked for. An error is the answer; otherwise it comes later.
    fn call(&mut self, caller: Caller, call: Call, fds: Vec<OwnedFd>) -> Result<(), RunnerError> {
        let makes_children = matches!(
            call,
            Call::Start(_)
                | Call::StartForeign(_)
                | Call::Compile(_)
                | Call::Precompile(_)
                | Call::LimitCpu { .. }
        );
        if makes_children && self.children.len() >= CHILDREN_MAX {
            return Err(RunnerError::Unavailable(format!("more than {CHILDREN_MAX} processes at once")));
        }
        match call {
            Call::Unpack { diff_id, compression } => {
                let [blob] = exactly(fds)?;
                if self.layers.has(&diff_id) {
                    self.reply(caller, Ok(Answer::Done));
                    return Ok(());
                }
                self.layers.ask(diff_id, blob, compression, caller)?;
                self.unpack_next();
                Ok(())
            }
            Call::Layers { after } => {
                let listed = self.layers.list(after.as_ref(), LAYERS_A_PACKET);
                let listed = listed.map_err(|error| RunnerError::Layer(error.to_string()))?;
                self.reply(caller, Ok(Answer::Layers(listed)));
                Ok(())
            }
            Call::RemoveLayer { diff_id } => {
                let removed = !self.roots.has(&diff_id) && self.layers.remove(&diff_id)?;
                self.reply(caller, Ok(Answer::Removed(removed)));
                Ok(())
            }
            Call::Start(spec) => self.start(caller, spec, exactly::<4>(fds)?),
            Call::StartForeign(spec) => self.start_foreign(caller, spec, exactly::<3>(fds)?),
            Call::Socket { instance, family } => self.socket(caller, instance, family),
            Call::Compile(job) => {
                let mut fds = fds;
                let inlet = if fds.len() == 2 { fds.pop() } else { None };
                let [log] = exactly(fds)?;
                self.compile(caller, job, log, inlet)
            }
            Call::Precompile(job) => self.precompile(caller, job, exactly(fds)?),
            Call::LimitCpu { instance, millicores } => {
                check::millicores(millicores)?;
                self.limit_cpu(caller, instance, millicores)
            }
            Call::Stop { instance, grace_ms } => {
                self.stop(caller, &instance, Duration::from_millis(grace_ms.min(3_600_000)));
                Ok(())
            }
            Call::Certificate => {
                let files =
                    self.config.certificate.as_ref().map_or_else(|| Ok(Vec::new()), certificate::open)?;
                self.reply_with(caller, Ok(Answer::Done), files);
                Ok(())
            }
            Call::List { after } => {
                let instances = self.list(&after);
                self.reply(caller, Ok(Answer::Instances(instances)));
                Ok(())
            }
        }
    }

    pub(super) fn reply(&mut self, caller: Caller, outcome: Result<Answer, RunnerError>) {
        self.reply_with(caller, outcome, Vec::new());
    }

    /// [`Launcher::reply`] with descriptors.
    pub(super) fn reply_with(
        &mut self,
        caller: Caller,
        outcome: Result<Answer, RunnerError>,
        fds: Vec<OwnedFd>,
    ) {
        if caller.life == self.life {
            self.tell(&FromLauncher::Reply { id: caller.request, outcome }, fds);
        }
    }

    pub(super) fn tell(&mut self, message: &FromLauncher, fds: Vec<OwnedFd>) {
        let Some(server) = &mut self.server else { return };
        match server.outbox.push(message, fds) {
            Ok(true) => {}
            Ok(false) => self.hang_up("it does not read what it is told"),
            Err(error) => self.hang_up(&error.to_string()),
        }
    }

    fn flush(&mut self) {
        let Some(Server { socket: Some(socket), outbox, .. }) = &mut self.server else { return };
        if let Err(error) = outbox.flush(&*socket) {
            self.hang_up(&error.to_string());
        }
    }

    fn leave_nothing(&mut self) {
        for id in self.sandboxes.keys() {
            tracing::error!(instance.id = id, "could not be removed in time");
        }
        if let Err(error) = self.cgroups.remove_all(Duration::from_secs(1)) {
            tracing::warn!(%error, "control groups stay behind until the next start");
        }
        if let Err(error) = self.paths.remove_leftovers() {
            tracing::warn!(%error, "files stay behind until the next start");
        }
        self.remove_sockets();
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap_or(1)
}

fn exactly<const COUNT: usize>(fds: Vec<OwnedFd>) -> Result<[OwnedFd; COUNT], RunnerError> {
    fds.try_into().map_err(|fds: Vec<OwnedFd>| {
        RunnerError::Invalid(format!("{} descriptors, {COUNT} belong to this request", fds.len()))
    })
}
