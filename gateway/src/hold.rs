//! Holding a request until it has a slot, and holding the slot until the request is over. Both are guards: what
//! is dropped at any point, by whomever, is given back exactly once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::core::{Cold, Outcome, Refusal, WaiterId, WaiterKind};
use crate::function::{self, Function, Shared};
use crate::instance::Instance;
use crate::usage::{Invocation, Used};

/// A request's place in an instance. Dropping it returns it.
pub(crate) struct Slot {
    function: Arc<Function>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) kind: WaiterKind,
    /// How the request ended; broken until somebody knows better.
    pub(crate) outcome: Outcome,
    /// Set when the request waited for a start.
    pub(crate) cold: Option<Cold>,
    pub(crate) granted: Instant,
    /// What is counted of it.
    pub(crate) invocation: Invocation,
}

impl Slot {
    pub(crate) fn new(
        function: Arc<Function>,
        instance: Arc<Instance>,
        kind: WaiterKind,
        cold: Option<Cold>,
    ) -> Self {
        Self {
            function,
            instance,
            kind,
            outcome: Outcome::Broken,
            cold,
            granted: Instant::now(),
            invocation: Invocation::NotSent,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.function.shared
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.kind == WaiterKind::Request {
            self.function.used.add(&Used {
                invocation: self.invocation,
                is_cold: self.cold.is_some(),
                duration: self.granted.elapsed(),
                memory_mb: self.instance.revision.memory_mb,
            });
        }
        function::release(&self.function, self.instance.id, self.kind, self.outcome);
    }
}

/// Why a request is not held any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Refused by its function's state.
    Refused(Refusal),
    /// Too many requests wait on the machine.
    MachineFull,
}

/// Waits for a slot. Cancel-safe: a dropped wait leaves the queue, or returns the slot that was on its way.
pub(crate) async fn hold(function: &Arc<Function>, kind: WaiterKind) -> Result<Slot, Held> {
    let _place = Place::take(&function.shared).ok_or(Held::MachineFull)?;
    let (id, receiver) = function.arrive(kind);
    let mut waiting = Waiting { function, id, receiver: Some(receiver) };
    let verdict = match &mut waiting.receiver {
        Some(receiver) => receiver.await,
        None => return Err(Held::Refused(Refusal::Closed)),
    };
    waiting.receiver = None;
    // The sender lives as long as its waiter is in the state, so an error means that the state is gone.
    verdict.unwrap_or(Err(Refusal::Closed)).map_err(Held::Refused)
}

struct Waiting<'a> {
    function: &'a Arc<Function>,
    id: WaiterId,
    /// `None` when the verdict was received.
    receiver: Option<oneshot::Receiver<Result<Slot, Refusal>>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            self.function.leave(self.id);
            drop(receiver);
        }
    }
}

/// One of the requests that may wait on the machine.
struct Place<'a>(&'a Shared);

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Option<Self> {
        let place = Self(shared);
        let before = shared.waiting.fetch_add(1, Ordering::Relaxed);
        (before < shared.config.machine_queue_bound).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
