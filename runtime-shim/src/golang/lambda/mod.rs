//! The Lambda Runtime API, for a program that asks for its work: one process, or as many as it takes.
//!
//! A process that polls several times at once (`AWS_LAMBDA_MAX_CONCURRENCY` asks for it) has several
//! invocations. One that polls once has one, and another process is started when work waits. The processes
//! share one queue; each has an address of its own, so that the death of one costs what that one held.

mod crew;
mod desk;
mod invocation;
mod queue;
mod report;
mod response;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{oneshot, watch};

use self::crew::Crew;
pub(super) use self::desk::Desk;
use self::invocation::Invocation;
use self::queue::Queue;
use crate::init::logs::Logs;
use crate::init::reap::{Child, Exit};
use crate::worker::pending::{Outcome, Pending};
use crate::worker::{Call, Ending, Launcher, StartFailure};

/// What all processes of one start share.
pub(crate) struct LambdaApi {
    pub(crate) pending: Pending,
    queue: Queue,
    crew: Crew,
    launcher: Launcher,
    logs: Logs,
    /// Invocations at once, over all processes.
    most: usize,
    is_growing: AtomicBool,
}

/// A process, and the API as it sees it.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) desk: Arc<Desk>,
    pub(super) child: Child,
}

impl LambdaApi {
    pub(super) fn new(launcher: Launcher, logs: Logs, most: u32) -> Arc<Self> {
        Arc::new(Self {
            pending: Pending::default(),
            queue: Queue::default(),
            crew: Crew::new(),
            launcher,
            logs,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            is_growing: AtomicBool::new(false),
        })
    }

    /// Starts a process. It counts once it is [employed](Self::employ).
    pub(super) async fn spawn(self: &Arc<Self>) -> Result<Process, StartFailure> {
        let (desk, address) = Desk::open(Arc::downgrade(self)).await.map_err(|error| {
            StartFailure::died(format!("no port on loopback for the Runtime API: {error}"))
        })?;
        let environment = invocation::environment(&self.launcher, address, self.most);
        let child = self.launcher.spawn(&self.logs, &environment, None)?;
        Ok(Process { desk, child })
    }

    /// All processes as one: ends with the last.
    pub(super) fn crew(&self) -> Child {
        self.crew.child()
    }

    pub(crate) fn start(self: &Arc<Self>, call: &Call) -> (u32, oneshot::Receiver<Outcome>) {
        let (ticket, reply) = self.pending.open(&call.event.request_id);
        self.queue.push(Invocation::new(ticket, call));
        self.grow();
        (ticket, reply)
    }

    /// What no process has asked for yet is taken back. What one has it keeps: the interface has no word for
    /// "stop".
    pub(crate) fn cancel(&self, ticket: u32, _why: Ending) {
        if self.queue.cancel(ticket) {
            self.pending.close(ticket, Ok(None));
        }
    }
}

/// What a process said of its start: nothing yet, that it is there, or why it is not.
type Said = Option<Result<(), report::Report>>;

fn said() -> watch::Sender<Said> {
    watch::Sender::new(None)
}

/// The end of the last process.
type LastExit = watch::Sender<Option<Exit>>;
