//! The worker as the request flow sees it: a call goes in, an answer or a refusal comes out, and whatever
//! happens to the process in between is dealt with here.
//!
//! States, moved by [`supervise`] alone:
//! `Starting` -> `Ready` when the handler is imported; -> `Broken` when it is not (for good), or when the
//! process died before it said so (tried again, with backoff); `Ready` -> `Starting` when the process dies
//! or is replaced.

mod channel;
pub(crate) mod frames;
mod health;
pub(crate) mod pending;
pub(crate) mod process;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub(crate) use self::channel::{Channel, Specialise, SpecialiseFunction};
pub(crate) use self::process::{Launcher, Link, Running, StartFailure};
use crate::init::logs::{Level, Logs};
use crate::request::answer::{Answer, Refusal};
use crate::request::event::Event;
use crate::request::slots::Slot;

/// After its time was up, how long a handler may take to let go before the worker is replaced.
const COMEBACK: Duration = Duration::from_secs(1);
/// Waits before a worker that died is started again: the first at once.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A worker that lived this long was well; its death starts the backoff anew.
const WELL: Duration = Duration::from_secs(10);

/// One invocation.
pub(crate) struct Call {
    pub(crate) event: Event,
    pub(crate) body: Bytes,
    /// Held until the handler has finished, or has let go.
    pub(crate) slot: Slot,
    pub(crate) timeout: Duration,
}

/// Why a handler is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The caller has gone; the handler may finish.
    CallerGone,
    /// The caller has its 504; the handler is to let go.
    TimedOut,
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Running>),
    Broken(Refusal),
}

/// The verdict of the first start.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Invocations at once that the worker bears.
    Ready(u32),
    /// Why not, in the interpreter's own words.
    Broken(String),
}

pub(crate) struct Worker {
    state: watch::Sender<State>,
    /// Rung when the present process is to be replaced.
    replace: Notify,
    stopping: watch::Sender<bool>,
    /// Processes after the first.
    restarts: AtomicU64,
    logs: Logs,
}

impl Worker {
    /// Starts the first process; the receiver resolves when it is known whether the handler is there.
    pub(crate) fn launch(launcher: Launcher, logs: Logs) -> (Arc<Self>, oneshot::Receiver<Verdict>) {
        let worker = Arc::new(Self {
            state: watch::Sender::new(State::Starting),
            replace: Notify::new(),
            stopping: watch::Sender::new(false),
            restarts: AtomicU64::new(0),
            logs,
        });
        let (verdict, first) = oneshot::channel();
        tokio::spawn(supervise(worker.clone(), launcher, verdict));
        (worker, first)
    }

    /// Times that a process was started after the first one.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// The process that serves, if one does.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.serving().map(|running| running.child.pid())
    }

    /// How long the worker took to answer the last ping; zero before the first.
    pub(crate) fn lag(&self) -> Duration {
        self.serving().map(|running| running.lag()).unwrap_or_default()
    }

    fn serving(&self) -> Option<Arc<Running>> {
        match &*self.state.borrow() {
            State::Ready(running) => Some(running.clone()),
            State::Starting | State::Broken(_) => None,
        }
    }

    /// Runs one invocation. Dropping the future tells the handler that its caller has gone.
    pub(crate) async fn call(self: Arc<Self>, call: Call) -> Result<Answer, Refusal> {
        let (sender, answered) = oneshot::channel();
        tokio::spawn(self.run(call, sender));
        let lost = || Err(Refusal::worker_killed("the request was lost"));
        answered.await.unwrap_or_else(|_| lost())
    }

    /// Ends the worker: asked first, then killed.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        let state = self.state.borrow().clone();
        if let State::Ready(running) = state {
            running.stop().await;
        }
    }

    async fn run(self: Arc<Self>, call: Call, mut sender: oneshot::Sender<Result<Answer, Refusal>>) {
        let deadline = Instant::now() + call.timeout;
        let running = match self.ready(deadline).await {
            Ok(running) => running,
            Err(refusal) => return drop(sender.send(Err(refusal))),
        };
        let _scope = self.logs.scope(&call.event.request_id);
        let (ticket, reply) = running.link.start(&call);
        let mut reply = pin!(reply);
        let mut caller_gone = false;
        // Cancellation: each branch may be dropped and polled again; `reply` stays pinned outside.
        let done = loop {
            tokio::select! {
                reply = &mut reply => break Some(reply),
                () = sleep_until(deadline) => break None,
                () = sender.closed(), if !caller_gone => {
                    caller_gone = true;
                    running.link.cancel(ticket, Ending::CallerGone);
                }
            }
        };
        if let Some(reply) = done {
            let lost = || Err(Refusal::worker_killed("the worker is gone"));
            let result = match reply.unwrap_or_else(|_| lost()) {
                Ok(answer) => answer.ok_or_else(|| Refusal::malformed("the worker gave no answer")),
                Err(refusal) => Err(refusal),
            };
            return drop(sender.send(result));
        }
        drop(sender.send(Err(Refusal::timed_out(call.timeout))));
        self.suspect(&running);
        running.link.cancel(ticket, Ending::TimedOut);
        let came_back = timeout(COMEBACK, reply).await.is_ok();
        running.link.forget(ticket);
        self.decide(&running, came_back);
        drop(call.slot);
    }

    /// Holds new requests back, so that none is lost in a process that may be stuck.
    fn suspect(&self, running: &Arc<Running>) {
        running.suspects.fetch_add(1, Ordering::Relaxed);
        if !running.is_over.load(Ordering::Relaxed) {
            self.state.send_replace(State::Starting);
        }
    }

    /// Serves from the process again when its last suspect came back, or has it replaced.
    fn decide(&self, running: &Arc<Running>, came_back: bool) {
        let others = running.suspects.fetch_sub(1, Ordering::Relaxed) - 1;
        if running.is_over.load(Ordering::Relaxed) {
            return;
        }
        if !came_back {
            running.is_over.store(true, Ordering::Relaxed);
            let line = "the handler did not let go after its timeout: the worker is replaced";
            self.logs.platform(Level::Warn, line);
            self.replace.notify_one();
        } else if others == 0 {
            self.state.send_replace(State::Ready(running.clone()));
        }
    }

    /// The process that serves now. Waits while it starts.
    async fn ready(&self, deadline: Instant) -> Result<Arc<Running>, Refusal> {
        let mut state = self.state.subscribe();
        let wait = async {
            match state.wait_for(|state| !matches!(state, State::Starting)).await.as_deref() {
                Ok(State::Ready(running)) => Ok(running.clone()),
                Ok(State::Broken(refusal)) => Err(refusal.clone()),
                _ => Err(not_started()),
            }
        };
        tokio::time::timeout_at(deadline, wait).await.unwrap_or_else(|_| Err(not_started()))
    }
}

fn not_started() -> Refusal {
    let message = "the worker has not started yet; try again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Runtime.NotReady", message).retry_after(1)
}

async fn supervise(worker: Arc<Worker>, launcher: Launcher, verdict: oneshot::Sender<Verdict>) {
    let mut verdict = Some(verdict);
    let mut backoff = Duration::ZERO;
    while !*worker.stopping.borrow() {
        sleep(backoff).await;
        backoff = (backoff * 2).clamp(FIRST_BACKOFF, LONGEST_BACKOFF);
        let running = match launcher.start(&worker.logs).await {
            Ok(running) => Arc::new(running),
            Err(failure) => {
                worker.logs.platform(Level::Error, &failure.message);
                worker.state.send_replace(State::Broken(failure.refusal()));
                tell(&mut verdict, Verdict::Broken(failure.message.clone()));
                if failure.is_final {
                    return;
                }
                continue;
            }
        };
        worker.state.send_replace(State::Ready(running.clone()));
        if verdict.is_none() {
            worker.restarts.fetch_add(1, Ordering::Relaxed);
        }
        tell(&mut verdict, Verdict::Ready(running.max_concurrency));
        let started = Instant::now();
        let _watch = health::watch(running.clone(), worker.logs.clone());
        // Cancellation: `ended` only observes; a notification that is not taken stays stored.
        tokio::select! {
            how = running.ended() => {
                running.is_over.store(true, Ordering::Relaxed);
                worker.state.send_replace(State::Starting);
                if !*worker.stopping.borrow() {
                    worker.logs.platform(Level::Error, &how);
                }
                running.link.fail(&Refusal::worker_killed(&how));
                if started.elapsed() >= WELL {
                    backoff = Duration::ZERO;
                }
            }
            () = worker.replace.notified() => {
                tokio::spawn(process::retire(running, launcher.longest_call()));
                backoff = Duration::ZERO;
            }
        }
    }
}

fn tell(verdict: &mut Option<oneshot::Sender<Verdict>>, what: Verdict) {
    if let Some(sender) = verdict.take() {
        // The receiver is gone when the shim is told to stop while it starts.
        let _ = sender.send(what);
    }
}
