//! The worker process: started, told its function, watched, retired, killed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use contract::runtime::Language;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::pending::Outcome;
use super::{Call, Channel, Ending, Specialise, SpecialiseFunction, socket};
use crate::config::Function;
use crate::golang::{self, HttpForm, LambdaApi};
use crate::init::logs::{Level, Logs};
use crate::init::reap::{Child, Reaper};
use crate::init::spawn::{Command, spawn};
use crate::request::answer::Refusal;

/// How long the import of a handler may take.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(60);
/// Between being asked to end and being killed; what was printed goes out meanwhile.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// A loop that is silent for so long, after all the time that its handler had, lets no other handler finish.
const STUCK: Duration = Duration::from_secs(1);
/// How long a process whose socket is closed may take to be gone.
const EOF_GRACE: Duration = Duration::from_millis(200);

/// How requests reach the handler.
pub(crate) enum Link {
    Frames(Arc<Channel>),
    Lambda(Arc<LambdaApi>),
    Http(Arc<HttpForm>),
}

impl Link {
    pub(crate) fn start(&self, call: &Call) -> (u32, oneshot::Receiver<Outcome>) {
        match self {
            Self::Frames(channel) => channel.start(call),
            Self::Lambda(api) => api.start(call),
            Self::Http(form) => form.start(call),
        }
    }

    pub(crate) fn cancel(&self, ticket: u32, why: Ending) {
        match self {
            Self::Frames(channel) => channel.cancel(ticket, why),
            Self::Lambda(api) => api.cancel(ticket, why),
            Self::Http(form) => form.cancel(ticket, why),
        }
    }

    pub(crate) fn forget(&self, ticket: u32) {
        self.pending().forget(ticket);
    }

    /// The process is gone: everybody who waits is told.
    pub(crate) fn fail(&self, refusal: &Refusal) {
        self.pending().fail(refusal);
        if let Self::Frames(channel) = self {
            channel.close();
        }
    }

    /// Of a process that is gone: waits for what it had sent before, answers and lines.
    pub(super) async fn drained(&self) {
        if let Self::Frames(channel) = self {
            // Somebody else may hold its end of the socket open.
            let _ = timeout(EOF_GRACE, channel.closed()).await;
        }
    }

    /// Resolves when the process's loop has answered nothing for a while, where that can be asked.
    async fn is_stuck(&self) {
        let Self::Frames(channel) = self else { return std::future::pending().await };
        while timeout(STUCK, channel.ping()).await.is_ok() {
            sleep(STUCK).await;
        }
    }

    /// Resolves when the process's loop takes requests, where that can be asked.
    pub(crate) async fn is_awake(&self) {
        match self {
            Self::Frames(channel) => channel.ping().await,
            Self::Lambda(_) | Self::Http(_) => std::future::pending().await,
        }
    }

    /// Resolves when the process has said that it is to be replaced.
    pub(crate) async fn unsound(&self) {
        match self {
            Self::Frames(channel) => channel.unsound().await,
            Self::Lambda(_) | Self::Http(_) => std::future::pending().await,
        }
    }

    fn pending(&self) -> &super::pending::Pending {
        match self {
            Self::Frames(channel) => &channel.pending,
            Self::Lambda(api) => &api.pending,
            Self::Http(form) => &form.pending,
        }
    }

    async fn closed(&self) {
        match self {
            Self::Frames(channel) => channel.closed().await,
            Self::Lambda(_) | Self::Http(_) => std::future::pending().await,
        }
    }
}

/// A process that serves.
pub(crate) struct Running {
    pub(crate) link: Link,
    pub(crate) max_concurrency: u32,
    pub(crate) child: Child,
    /// Requests whose time was up and that have not let go yet: new ones wait until it is known whether they do.
    pub(super) suspects: AtomicUsize,
    /// Dead or replaced; it is never served from again.
    pub(super) is_over: AtomicBool,
    /// Microseconds that the answer to the last ping took.
    lag_us: AtomicU64,
    /// Rung when it is to be replaced.
    pub(super) replace: Notify,
}

impl Running {
    pub(crate) fn new(link: Link, max_concurrency: u32, child: Child) -> Self {
        Self {
            link,
            max_concurrency,
            child,
            suspects: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            lag_us: AtomicU64::new(0),
            replace: Notify::new(),
        }
    }

    pub(crate) fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_us.load(Ordering::Relaxed))
    }

    pub(super) fn set_lag(&self, lag: Duration) {
        self.lag_us.store(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Resolves when the process is gone, with how it went. One that closed its socket is killed.
    pub(crate) async fn ended(&self) -> String {
        // Cancellation: both only observe.
        let exit = tokio::select! {
            exit = self.child.exited() => exit,
            () = self.link.closed() => {
                if timeout(EOF_GRACE, self.child.exited()).await.is_err() {
                    self.child.kill();
                }
                self.child.exited().await
            }
        };
        // What a worker forked must not outlive it.
        self.child.kill();
        format!("the worker {exit}")
    }

    pub(crate) async fn stop(&self) {
        self.child.terminate();
        let _ = timeout(STOP_GRACE, self.child.exited()).await;
        self.child.kill();
        let _ = timeout(STOP_GRACE, self.child.exited()).await;
    }
}

/// Lets a replaced process finish what it still holds, `longest` at most, and no longer than its loop lives.
pub(super) async fn retire(running: Arc<Running>, longest: Duration, logs: Logs) {
    let finished = async {
        while running.link.pending().count() > 0 {
            if timeout(Duration::from_millis(50), running.child.exited()).await.is_ok() {
                break;
            }
        }
    };
    // Cancellation: all of them only observe.
    tokio::select! {
        () = finished => {}
        () = sleep(longest) => {}
        () = running.link.is_stuck() => {
            let line = "the replaced worker is killed: a handler blocks it, nothing that it holds can finish";
            logs.platform(Level::Warn, line);
        }
    }
    running.child.kill();
    let exit = running.child.exited().await;
    running.link.drained().await;
    running.link.fail(&Refusal::worker_killed(&format!("the worker {exit}")));
}

/// Why a process does not serve. `message` is the interpreter's own words.
#[derive(Debug)]
pub(crate) struct StartFailure {
    pub(crate) message: String,
    pub(crate) error_type: String,
    /// The handler is not there: starting again changes nothing.
    pub(crate) is_final: bool,
}

impl StartFailure {
    pub(crate) fn died(message: impl Into<String>) -> Self {
        Self { message: message.into(), error_type: "Runtime.StartFailed".into(), is_final: false }
    }

    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::thrown("Runtime.ImportError", &self.error_type, self.message.clone())
    }
}

/// What it takes to start the worker, again and again.
#[derive(Clone)]
pub(crate) struct Launcher {
    pub(crate) language: Language,
    pub(crate) command: Vec<String>,
    pub(crate) code_directory: PathBuf,
    pub(crate) environment: std::collections::BTreeMap<String, String>,
    pub(crate) function: Function,
    pub(crate) max_concurrency: Option<u32>,
    pub(crate) timeout: Duration,
    pub(crate) upstream_port: u16,
    pub(crate) reaper: Reaper,
}

impl Launcher {
    /// The longest that a request can run.
    pub(super) fn longest_call(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn start(&self, logs: &Logs) -> Result<Running, StartFailure> {
        match self.language {
            Language::Golang => golang::start(self, logs).await,
            Language::Node | Language::Python => self.start_framed(logs).await,
        }
    }

    /// Forks and executes the command, its output going to the logs.
    pub(crate) fn spawn(
        &self,
        logs: &Logs,
        extra: &[(&str, String)],
        descriptor: Option<std::os::fd::OwnedFd>,
    ) -> Result<Child, StartFailure> {
        let mut environment = self.environment.clone();
        environment.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let command = Command {
            argv: &self.command,
            environment: &environment,
            directory: &self.code_directory,
            descriptor,
        };
        let spawned = spawn(command).map_err(|error| {
            StartFailure::died(format!("{} cannot be started: {error}", self.command.join(" ")))
        })?;
        logs.forward(spawned.stdout, spawned.stderr);
        Ok(self.reaper.adopt(spawned.pid))
    }

    async fn start_framed(&self, logs: &Logs) -> Result<Running, StartFailure> {
        let failed = |error: std::io::Error| StartFailure::died(format!("no socket for the worker: {error}"));
        let (ours, theirs) = socket::pair().map_err(failed)?;
        let child = self.spawn(logs, &[], Some(theirs.into()))?;
        let (channel, specialised) = Channel::open(ours, logs.clone()).map_err(failed)?;
        let max_concurrency = self.max_concurrency.unwrap_or(self.language.default_concurrency());
        channel.specialise(&Specialise {
            directory: &self.code_directory.to_string_lossy(),
            handler: &self.function.handler,
            environment: &self.environment,
            function: SpecialiseFunction {
                name: &self.function.name,
                version: &self.function.version,
                memory_mb: self.function.memory_mb,
            },
            max_concurrency,
            log_frames: logs.are_records(),
        });
        let running = Running::new(Link::Frames(channel), max_concurrency, child);
        // Cancellation: whichever comes first decides, the others are not needed any more.
        tokio::select! {
            said = specialised => match said {
                Ok(said) if said.ok => Ok(running),
                Ok(said) => {
                    running.stop().await;
                    Err(StartFailure { message: said.error, error_type: said.error_type, is_final: true })
                }
                Err(_) => Err(StartFailure::died(running.ended().await)),
            },
            how = running.ended() => Err(StartFailure::died(format!("{how} while the handler was imported"))),
            () = sleep(START_LIMIT) => {
                running.child.kill();
                let seconds = START_LIMIT.as_secs();
                Err(StartFailure::died(format!("the handler was not imported within {seconds} s")))
            }
        }
    }
}
