//! The worker as the request flow sees it: a call goes in, an answer or a refusal comes out, and whatever
//! happens to the process in between is dealt with here.
//!
//! States, moved by [`supervise::supervise`] alone:
//! `Starting` -> `Ready` when the handler is imported; -> `Broken` when it is not (for good), or when the
//! process died before it said so (tried again, with backoff); `Ready` -> `Starting` when the process dies
//! or is replaced, and for as long as a handler whose time was up may block its loop.

mod channel;
pub(crate) mod frames;
mod health;
mod invocation;
mod lines;
mod meta;
pub(crate) mod pending;
pub(crate) mod probe;
pub(crate) mod process;
mod socket;
pub(crate) mod stream;
mod supervise;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{oneshot, watch};

pub(crate) use self::channel::Channel;
use self::invocation::{Attempt, Invocation};
pub(crate) use self::meta::{Specialise, SpecialiseFunction};
pub(crate) use self::process::{Launcher, Link, Running, StartFailure};
use crate::init::logs::{Level, Logs};
use crate::init::reap::Reaper;
use crate::request::answer::{Answer, Body, Refusal};
use crate::request::event::Event;
use crate::request::slots::Slot;

/// How long a request waits for a worker that starts: as long as a start may take. Not the handler's time.
const PATIENCE: Duration = process::START_LIMIT;
/// A request that no worker had goes to so many in all.
const ATTEMPTS: usize = 3;

/// One invocation.
pub(crate) struct Call {
    pub(crate) event: Event,
    pub(crate) body: Bytes,
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
    stopping: watch::Sender<bool>,
    reaper: Reaper,
    logs: Logs,
    /// Processes after the first.
    restarts: AtomicU64,
}

impl Worker {
    /// Starts the first process; the receiver resolves when it is known whether the handler is there.
    pub(crate) fn launch(launcher: Launcher, logs: Logs) -> (Arc<Self>, oneshot::Receiver<Verdict>) {
        let worker = Arc::new(Self {
            state: watch::Sender::new(State::Starting),
            stopping: watch::Sender::new(false),
            reaper: launcher.reaper.clone(),
            logs,
            restarts: AtomicU64::new(0),
        });
        let (verdict, first) = oneshot::channel();
        tokio::spawn(supervise::supervise(worker.clone(), launcher, verdict));
        (worker, first)
    }

    /// Runs one invocation, whose time begins when a process has it. Dropping the future tells the handler that
    /// its caller has gone; the slot is held until the handler has finished, or has let go.
    pub(crate) async fn call(self: &Arc<Self>, call: Call, mut slot: Slot) -> Result<Answer<Body>, Refusal> {
        for _ in 0..ATTEMPTS {
            let running = self.ready().await?;
            match Invocation::start(self.clone(), running, &call, slot).answer().await {
                Attempt::Done(result) => return result,
                Attempt::NeverSent(back) => slot = back,
            }
        }
        Err(Refusal::worker_killed("the worker died, again and again, before it took the request"))
    }

    /// Ends the worker: asked first, then killed.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        self.reaper.end_all().await;
    }

    /// Kills the worker at once.
    pub(crate) fn kill(&self) {
        self.stopping.send_replace(true);
        self.reaper.kill_all();
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Times that a process was started after the first one.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// The process that serves, if one does.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.serving().map(|running| running.child.pid())
    }

    /// How long the worker took to answer the last ping; zero while nothing runs.
    pub(crate) fn lag(&self) -> Duration {
        self.serving().map(|running| running.lag()).unwrap_or_default()
    }

    fn serving(&self) -> Option<Arc<Running>> {
        match &*self.state.borrow() {
            State::Ready(running) => Some(running.clone()),
            State::Starting | State::Broken(_) => None,
        }
    }

    /// Holds new requests back, so that none is lost in a process that may be stuck.
    fn suspect(self: &Arc<Self>, running: &Arc<Running>) -> Suspicion {
        running.suspects.fetch_add(1, Ordering::Relaxed);
        if !running.is_over.load(Ordering::Relaxed) {
            self.state.send_replace(State::Starting);
        }
        Suspicion { worker: self.clone(), running: running.clone(), is_over: false }
    }

    /// Has a process replaced, once.
    fn replace(&self, running: &Running, why: &str) {
        if !running.is_over.swap(true, Ordering::Relaxed) {
            self.state.send_replace(State::Starting);
            self.logs.platform(Level::Warn, &format!("{why}: the worker is replaced"));
            running.replace.notify_one();
        }
    }

    /// The process that serves now. Waits while it starts.
    async fn ready(&self) -> Result<Arc<Running>, Refusal> {
        if let Some(running) = self.serving() {
            return Ok(running);
        }
        let mut state = self.state.subscribe();
        let wait = async {
            match state.wait_for(|state| !matches!(state, State::Starting)).await.as_deref() {
                Ok(State::Ready(running)) => Ok(running.clone()),
                Ok(State::Broken(refusal)) => Err(refusal.clone()),
                _ => Err(not_started()),
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| Err(not_started()))
    }
}

/// That a process may be stuck. The last one that ends lets requests go to it again.
struct Suspicion {
    worker: Arc<Worker>,
    running: Arc<Running>,
    is_over: bool,
}

impl Suspicion {
    fn end(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let others = self.running.suspects.fetch_sub(1, Ordering::Relaxed) - 1;
        if others == 0 && !self.running.is_over.load(Ordering::Relaxed) {
            self.worker.state.send_replace(State::Ready(self.running.clone()));
        }
    }
}

fn not_started() -> Refusal {
    let message = "the worker has not started yet; try again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Runtime.NotReady", message).retry_after(1)
}
