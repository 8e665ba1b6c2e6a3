//! The processes that serve: one more when work waits and nobody polls, one less when it dies.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{LambdaApi, LastExit, Process};
use crate::init::logs::Level;
use crate::init::reap::{Child, Exit};
use crate::request::answer::Refusal;
use crate::worker::StartFailure;
use crate::worker::process::START_LIMIT;

/// How long work waits for a poll before another process is started: the polls of a fresh process come within.
const PATIENCE: Duration = Duration::from_millis(20);
/// After a process that could not be added.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Crew {
    members: Mutex<Vec<Process>>,
    all: Child,
    last_exit: LastExit,
}

impl Crew {
    pub(super) fn new() -> Self {
        let (last_exit, exit) = watch::channel(None);
        Self { members: Mutex::default(), all: Child::crew(exit), last_exit }
    }

    pub(super) fn child(&self) -> Child {
        self.all.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Process>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are, and how many invocations they have shown to take at once.
    fn strength(&self) -> (usize, usize) {
        let members = self.lock();
        (members.len(), members.iter().map(|member| member.desk.capacity()).sum())
    }

    fn add(&self, process: Process) {
        self.all.join(&process.child);
        if self.last_exit.borrow().is_some() {
            process.child.kill();
        }
        self.lock().push(process);
    }

    /// `true` when it was the last.
    fn remove(&self, process: &Process) -> bool {
        self.all.leave(&process.child);
        let mut members = self.lock();
        members.retain(|member| !Arc::ptr_eq(&member.desk, &process.desk));
        members.is_empty()
    }
}

impl LambdaApi {
    /// From now on the process serves.
    pub(in crate::golang) fn employ(self: &Arc<Self>, process: Process) {
        self.crew.add(process.clone());
        tokio::spawn(self.clone().watch(process));
    }

    /// What a dead process held is refused; what waits goes to the others, or to the next start.
    async fn watch(self: Arc<Self>, process: Process) {
        let exit = process.child.exited().await;
        // What it forked must not outlive it.
        process.child.kill();
        let is_last = self.crew.remove(&process);
        let how = format!("the worker {exit}");
        for ticket in process.desk.close() {
            self.pending.close(ticket, Err(Refusal::worker_killed(&how)));
        }
        if is_last {
            self.crew.last_exit.send_replace(Some(exit));
        } else {
            self.logs.platform(Level::Error, &how);
            self.grow();
        }
    }

    /// Starts processes while there is more work than they take.
    pub(super) fn grow(self: &Arc<Self>) {
        if !self.is_short() || self.is_growing.swap(true, Ordering::Relaxed) {
            return;
        }
        let api = self.clone();
        tokio::spawn(async move {
            sleep(PATIENCE).await;
            while api.is_short() {
                if let Err(failure) = api.add_one().await {
                    api.logs.platform(Level::Warn, &format!("no process more: {}", failure.message));
                    sleep(PAUSE).await;
                    break;
                }
            }
            api.is_growing.store(false, Ordering::Relaxed);
        });
    }

    fn is_short(&self) -> bool {
        let (members, capacity) = self.crew.strength();
        (1..self.most).contains(&members) && self.pending.count() > capacity
    }

    async fn add_one(self: &Arc<Self>) -> Result<(), StartFailure> {
        let process = self.spawn().await?;
        // Cancellation: all only observe.
        let started = tokio::select! {
            started = timeout(START_LIMIT, process.desk.first_next()) => {
                started.unwrap_or_else(|_| Err(StartFailure::died("it asked for no work")))
            }
            exit = process.child.exited() => Err(StartFailure::died(ended(exit))),
        };
        if started.is_err() {
            process.child.kill();
        } else {
            self.employ(process);
        }
        started
    }
}

fn ended(exit: Exit) -> String {
    format!("it {exit}")
}
