//! One instance: its phase, its slots, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Action, InstanceId, Time, WaiterKind};
use crate::{Revision, StopReason};

/// An instance from the decision to start it until nothing is left of it.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) revision: Arc<Revision>,
    pub(crate) phase: Phase,
    /// Requests at once; known when ready.
    pub(crate) slots: u32,
    pub(crate) in_flight: u32,
    pub(crate) probes: u32,
    /// Why it drains or is stopped.
    why: StopReason,
    /// When its start was asked for.
    pub(super) asked: Time,
    /// When it became ready.
    pub(super) ready: Time,
}

/// Where an instance is in its life; see the diagram at the head of [`crate::core`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its start goes on; `exited` when its end was reported before the start's own.
    Starting { exited: bool },
    /// It gives slots while its revision is live.
    Ready { idle_since: Time },
    /// No new slot; stopped when empty, at the latest at `until`.
    Draining { until: Time },
    /// To be forgotten when its start (`start_pending`) and all `stops` are over.
    Stopping { start_pending: bool, stops: u32 },
}

impl Instance {
    pub(super) fn new(id: InstanceId, revision: Arc<Revision>, now: Time) -> Self {
        Self {
            id,
            revision,
            phase: Phase::Starting { exited: false },
            slots: 0,
            in_flight: 0,
            probes: 0,
            why: StopReason::Ended,
            asked: now,
            ready: Duration::MAX,
        }
    }

    /// The ready line came. What it says of slots wins over the revision, which wins over "one at a time".
    pub(super) fn is_ready(&mut self, now: Time, max_concurrency: u32) {
        let said = Some(max_concurrency).filter(|slots| *slots > 0);
        self.slots = said.or(self.revision.max_concurrency).unwrap_or(1).max(1);
        self.ready = now;
        self.phase = Phase::Ready { idle_since: now };
    }

    pub(super) fn free(&self) -> u32 {
        match self.phase {
            Phase::Ready { .. } => self.slots.saturating_sub(self.in_flight),
            _ => 0,
        }
    }

    pub(super) fn take(&mut self, kind: WaiterKind) {
        match kind {
            WaiterKind::Request => self.in_flight += 1,
            WaiterKind::Probe => self.probes += 1,
        }
    }

    pub(super) fn release(&mut self, now: Time, kind: WaiterKind) {
        match kind {
            WaiterKind::Request => self.in_flight -= 1,
            WaiterKind::Probe => self.probes -= 1,
        }
        if let Phase::Ready { idle_since } = &mut self.phase {
            *idle_since = now;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight == 0 && self.probes == 0
    }

    /// Gives no more slots. One that is starting has nothing to finish and is stopped at once.
    pub(super) fn drain(&mut self, until: Time, why: StopReason, actions: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Starting { .. } => self.end(why, actions),
            Phase::Ready { .. } => (self.phase, self.why) = (Phase::Draining { until }, why),
            Phase::Draining { until: earlier } => *earlier = until.min(*earlier),
            Phase::Stopping { .. } => {}
        }
    }

    /// The start has failed: nothing more will come from it.
    pub(super) fn start_is_over(&mut self) {
        self.phase = Phase::Draining { until: Time::ZERO };
    }

    /// It has nothing left, or no time: stops it.
    pub(super) fn end_drain(&mut self, actions: &mut Vec<Action>) {
        self.end(self.why, actions);
    }

    /// Stops it.
    pub(super) fn end(&mut self, why: StopReason, actions: &mut Vec<Action>) {
        self.why = why;
        let start_pending = matches!(self.phase, Phase::Starting { .. });
        self.phase = Phase::Stopping { start_pending, stops: 1 };
        actions.push(Action::Stop { instance: self.id, why });
    }

    /// The start of an instance that was abandoned is over: the first stop may have come too early to find it.
    pub(super) fn start_resolved(&mut self, actions: &mut Vec<Action>) {
        if let Phase::Stopping { start_pending: start_pending @ true, stops } = &mut self.phase {
            *start_pending = false;
            *stops += 1;
            actions.push(Action::Stop { instance: self.id, why: self.why });
        }
    }

    /// A stop is over; says whether nothing of the instance is left.
    pub(super) fn stop_resolved(&mut self) -> bool {
        let Phase::Stopping { start_pending, stops } = &mut self.phase else { return false };
        *stops = stops.saturating_sub(1);
        *stops == 0 && !*start_pending
    }
}
