//! Invocations that no process has asked for yet, the oldest first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Invocation;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Invocation>>,
    arrived: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Invocation>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, invocation: Invocation) {
        self.lock().push_back(invocation);
        self.arrived.notify_one();
    }

    /// The next one; it may have been cancelled. Dropping the future takes none with it.
    pub(super) async fn take(&self) -> Invocation {
        loop {
            let arrived = self.arrived.notified();
            if let Some(invocation) = self.lock().pop_front() {
                return invocation;
            }
            arrived.await;
        }
    }

    /// Marks one that waits still; `false` when it does not. It keeps its place, since what comes after it was
    /// not handed over before it.
    pub(super) fn cancel(&self, ticket: u32) -> bool {
        let mut waiting = self.lock();
        let found = waiting.iter_mut().find(|invocation| invocation.ticket == ticket);
        found.map(|invocation| invocation.is_cancelled = true).is_some()
    }
}
