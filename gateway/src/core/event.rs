//! What can happen to a function, and what is to be done about it.

use std::sync::Arc;
use std::time::Duration;

use crate::{Revision, StartFailure, StartFailureKind, StopReason};

/// Time since the gateway was made.
pub(crate) type Time = Duration;

/// A request that waits or has waited; unique in its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WaiterId(pub(crate) u64);

/// An instance; unique in its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct InstanceId(pub(crate) u64);

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaiterKind {
    /// A caller's request: takes a slot.
    Request,
    /// A deploy's probe: the shim answers it without the worker, so it needs a ready instance but no slot, and
    /// a busy function can be deployed.
    Probe,
}

/// How a request that held a slot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an answer of the instance.
    Answered,
    /// Without one: timeout, broken connection, caller gone.
    Broken,
    /// The instance's socket took no connection.
    Unreachable,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A request wants a slot.
    Arrive { waiter: WaiterId, kind: WaiterKind },
    /// Its caller has gone. Without effect when it was granted or refused meanwhile.
    Leave { waiter: WaiterId },
    /// A granted request is over.
    Released { instance: InstanceId, kind: WaiterKind, outcome: Outcome },
    /// The ready line said ready.
    Started { instance: InstanceId, max_concurrency: u32 },
    /// The start ended otherwise.
    StartFailed { instance: InstanceId, failure: StartFailure },
    /// The instance has ended by itself.
    Exited { instance: InstanceId },
    /// A stop that an action asked for is over.
    Stopped { instance: InstanceId },
    /// This revision is live; nothing is started for it before a request comes (or `min_scale` asks). With the
    /// id of the live one: new limits for it.
    Restore { revision: Arc<Revision> },
    /// New limits for a revision that is known, live or not; nothing for one that is not.
    Rescale { revision: Arc<Revision> },
    /// Have an instance of this revision, beside the live one.
    Prepare { revision: Arc<Revision> },
    /// From now on every request without a slot goes to this revision.
    Switch { revision_id: String },
    /// The prepared revision is not wanted.
    Discard { revision_id: String },
    /// The function is deleted, or the server shuts down.
    Close,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Start this instance; answer with `Started` or `StartFailed`.
    Start { instance: InstanceId, revision: Arc<Revision> },
    /// Stop it; answer with `Stopped`.
    Stop { instance: InstanceId, why: StopReason },
    /// The request has a place in the instance; answer with `Released`.
    Grant { waiter: WaiterId, instance: InstanceId, kind: WaiterKind, cold: Option<Cold> },
    /// The request gets none.
    Refuse { waiter: WaiterId, refusal: Refusal },
    /// A `Prepare` has come to its end.
    Prepared { revision_id: String, result: Result<(), StartFailure> },
}

/// What a request waited for when an instance was not ready at its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cold {
    /// Waiting for anything but the start.
    pub(crate) queue: Duration,
    /// Waiting for the start.
    pub(crate) start: Duration,
}

/// Why a request gets no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No revision is live.
    NoRevision,
    /// The function is deleted or the server shuts down.
    Closed,
    /// As many requests wait as may.
    QueueFull { bound: usize },
    /// All slots were taken the whole time.
    NoSlotInTime { waited: Duration },
    /// No instance became ready in time.
    NotStartedInTime { waited: Duration },
    /// The last start failed and the revision pauses.
    StartFailed { kind: StartFailureKind, retry_after: Duration },
    /// Instances crash and the revision pauses longer than the request may wait.
    Crashing { retry_after: Duration },
}

/// The answer to a `Prepare` whose revision was dropped meanwhile.
pub(crate) fn abandoned() -> StartFailure {
    StartFailure {
        message: "the start was abandoned: the revision is not wanted any more".into(),
        kind: StartFailureKind::Abandoned,
    }
}

/// The answer to a `Prepare` whose instance exited in the moment it became ready.
pub(super) fn died() -> StartFailure {
    StartFailure {
        message: "the instance exited right after it became ready".into(),
        kind: StartFailureKind::Function,
    }
}
