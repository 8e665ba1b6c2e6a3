//! One function's slots, queue and instances: what happens next, as plain data. No I/O, no tasks, no clock of
//! its own: [`State::step`] takes the time and an event and says what is to be done. Whoever drives it
//! ([`crate::function`]) owns the effects.
//!
//! ```text
//! an instance:   Starting ──ready line──▶ Ready ──switch, discard, close──▶ Draining ──empty or time is up──┐
//!                   │                       └──────── idle, exited, unreachable ───────────┐                │
//!                   └── failed, abandoned ─────────────────────────────────────────▶ Stopping ◀─────────────┘
//!                                                                                       └─ stopped ─▶ gone
//! a revision:    prepare ─▶ next ──switch──▶ live ──switch to another──▶ (its instances drain)
//!                             └──discard──▶ (its instances drain)
//! a request:     arrive ─▶ waiting ─▶ granted a slot ─▶ released, or refused, or left; each exactly once
//! ```
//!
//! Only a `Ready` instance of the live revision gives slots, in the order of arrival. Events change the facts;
//! [`scale`] then derives what follows from the facts alone, so an event cannot forget a consequence.

mod balance;
mod event;
mod instance;
mod known;
mod scale;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) use event::{
    Action, Cold, Event, InstanceId, Outcome, Refusal, Time, WaiterId, WaiterKind, abandoned,
};
pub(crate) use instance::{Instance, Phase};
use known::{Cause, Known};

use crate::{GatewayConfig, Revision, StartFailure, StopReason};

/// Everything that is known of one function.
#[derive(Debug)]
pub(crate) struct State {
    config: Arc<GatewayConfig>,
    closed: bool,
    live: Option<Known>,
    next: Vec<Known>,
    instances: Vec<Instance>,
    requests: VecDeque<Waiter>,
    probes: VecDeque<Waiter>,
    instances_made: u64,
}

/// A request that has no slot yet.
#[derive(Debug, Clone, Copy)]
struct Waiter {
    id: WaiterId,
    arrived: Time,
    deadline: Time,
}

impl State {
    pub(crate) fn new(config: Arc<GatewayConfig>) -> Self {
        Self {
            config,
            closed: false,
            live: None,
            next: Vec::new(),
            instances: Vec::new(),
            requests: VecDeque::new(),
            probes: VecDeque::new(),
            instances_made: 0,
        }
    }

    /// Takes in one event and says what is to be done, in order. `now` never goes back.
    pub(crate) fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Arrive { waiter, kind } => self.arrive(now, waiter, kind, &mut actions),
            Event::Leave { waiter } => {
                self.requests.retain(|w| w.id != waiter);
                self.probes.retain(|w| w.id != waiter);
            }
            Event::Released { instance, kind, outcome } => {
                self.released(now, instance, kind, outcome, &mut actions);
            }
            Event::Started { instance, max_concurrency } => {
                self.started(now, instance, max_concurrency, &mut actions);
            }
            Event::StartFailed { instance, failure } => {
                self.start_failed(now, instance, &failure, &mut actions);
            }
            Event::Exited { instance } => self.exited(now, instance, &mut actions),
            Event::Stopped { instance } => self.stopped(instance),
            Event::Restore { revision } => self.restore(now, revision, &mut actions),
            Event::Rescale { revision } => {
                if let Some(known) = self.known(&revision.id) {
                    known.revision = revision;
                }
            }
            Event::Prepare { revision } => self.prepare(now, revision, &mut actions),
            Event::Switch { revision_id } => self.switch(now, &revision_id, &mut actions),
            Event::Discard { revision_id } => self.discard(now, &revision_id, &mut actions),
            Event::Close => self.close(now, &mut actions),
            Event::Tick => {}
        }
        self.settle(now, &mut actions);
        actions
    }

    /// Whether requests can be served at all: some revision is live.
    pub(crate) fn live(&self) -> Option<&Arc<Revision>> {
        self.live.as_ref().map(|known| &known.revision)
    }

    /// Whether this revision may be switched to: it is live or was prepared.
    pub(crate) fn knows(&self, revision_id: &str) -> bool {
        self.live.iter().chain(&self.next).any(|known| known.revision.id == revision_id)
    }

    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    pub(crate) fn waiting(&self) -> usize {
        self.requests.len() + self.probes.len()
    }

    /// Closed, and nothing is left to be done.
    pub(crate) fn is_gone(&self) -> bool {
        self.closed && self.instances.is_empty()
    }

    fn arrive(&mut self, now: Time, id: WaiterId, kind: WaiterKind, actions: &mut Vec<Action>) {
        let refusal = match &self.live {
            _ if self.closed => Refusal::Closed,
            None => Refusal::NoRevision,
            Some(live) => {
                let deadline = now + live.queue_deadline(&self.config);
                let queue = match kind {
                    WaiterKind::Request => &mut self.requests,
                    WaiterKind::Probe => &mut self.probes,
                };
                let bound = live.queue_bound(&self.config);
                if queue.len() < bound {
                    queue.push_back(Waiter { id, arrived: now, deadline });
                    return;
                }
                Refusal::QueueFull { bound }
            }
        };
        actions.push(Action::Refuse { waiter: id, refusal });
    }

    fn released(
        &mut self,
        now: Time,
        id: InstanceId,
        kind: WaiterKind,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        let Some(instance) = self.instances.iter_mut().find(|i| i.id == id) else { return };
        instance.release(now, kind);
        let ready = matches!(instance.phase, Phase::Ready { .. });
        let revision_id = instance.revision.id.clone();
        match outcome {
            Outcome::Unreachable if !matches!(instance.phase, Phase::Stopping { .. }) => {
                self.crashed(now, id, actions);
            }
            Outcome::Answered if ready && kind == WaiterKind::Request => {
                self.known(&revision_id).into_iter().for_each(Known::recovered);
            }
            _ => {}
        }
    }

    fn started(&mut self, now: Time, id: InstanceId, max_concurrency: u32, actions: &mut Vec<Action>) {
        let Some(instance) = self.instances.iter_mut().find(|i| i.id == id) else { return };
        let Phase::Starting { exited } = instance.phase else {
            return instance.start_resolved(actions);
        };
        instance.is_ready(now, max_concurrency);
        let (took, slots, revision_id) = (now - instance.asked, instance.slots, instance.revision.id.clone());
        if let Some(known) = self.known(&revision_id) {
            known.started(took, slots);
            if !exited && std::mem::take(&mut known.preparing) {
                actions.push(Action::Prepared { revision_id, result: Ok(()) });
            }
        }
        if exited {
            self.crashed(now, id, actions);
        }
    }

    fn start_failed(&mut self, now: Time, id: InstanceId, failure: &StartFailure, actions: &mut Vec<Action>) {
        let config = Arc::clone(&self.config);
        let Some(instance) = self.instances.iter_mut().find(|i| i.id == id) else { return };
        if !matches!(instance.phase, Phase::Starting { .. }) {
            return instance.start_resolved(actions);
        }
        instance.start_is_over();
        instance.end(StopReason::Ended, actions);
        let revision_id = instance.revision.id.clone();
        if let Some(known) = self.known(&revision_id) {
            known.failed(now, Cause::Start(failure.kind), &config);
            if std::mem::take(&mut known.preparing) {
                actions.push(Action::Prepared {
                    revision_id: revision_id.clone(),
                    result: Err(failure.clone()),
                });
            }
        }
        self.next.retain(|known| known.revision.id != revision_id);
    }

    fn exited(&mut self, now: Time, id: InstanceId, actions: &mut Vec<Action>) {
        let Some(instance) = self.instances.iter_mut().find(|i| i.id == id) else { return };
        match &mut instance.phase {
            // The start itself is about to fail, and says why better than an exit code does.
            Phase::Starting { exited } => *exited = true,
            Phase::Ready { .. } | Phase::Draining { .. } => self.crashed(now, id, actions),
            Phase::Stopping { .. } => {}
        }
    }

    fn stopped(&mut self, id: InstanceId) {
        self.instances.retain_mut(|instance| !(instance.id == id && instance.stop_resolved()));
    }

    /// The instance is dead: its slots are gone, and its revision pauses before the next start.
    fn crashed(&mut self, now: Time, id: InstanceId, actions: &mut Vec<Action>) {
        let config = Arc::clone(&self.config);
        let Some(instance) = self.instances.iter_mut().find(|i| i.id == id) else { return };
        let draining = matches!(instance.phase, Phase::Draining { .. });
        instance.end(StopReason::Ended, actions);
        let revision_id = instance.revision.id.clone();
        if !draining && let Some(known) = self.known(&revision_id) {
            known.failed(now, Cause::Crash, &config);
            if std::mem::take(&mut known.preparing) {
                actions.push(Action::Prepared { revision_id, result: Err(event::died()) });
            }
        }
    }

    fn restore(&mut self, now: Time, revision: Arc<Revision>, actions: &mut Vec<Action>) {
        if self.closed {
            return;
        }
        match self.known(&revision.id) {
            Some(known) => known.revision = Arc::clone(&revision),
            None => self.next.push(Known::new(Arc::clone(&revision))),
        }
        self.switch(now, &revision.id, actions);
    }

    fn prepare(&mut self, now: Time, revision: Arc<Revision>, actions: &mut Vec<Action>) {
        let revision_id = revision.id.clone();
        if self.closed {
            return actions.push(Action::Prepared { revision_id, result: Err(abandoned()) });
        }
        if self.known(&revision_id).is_none() {
            self.next.push(Known::new(Arc::clone(&revision)));
        }
        let of_it = |phase: fn(&Phase) -> bool| {
            self.instances.iter().any(|i| i.revision.id == revision_id && phase(&i.phase))
        };
        if of_it(|phase| matches!(phase, Phase::Ready { .. })) {
            return actions.push(Action::Prepared { revision_id, result: Ok(()) });
        }
        let starting = of_it(|phase| matches!(phase, Phase::Starting { .. }));
        if let Some(known) = self.known(&revision_id) {
            known.preparing = true;
        }
        if !starting {
            self.start(now, revision, actions);
        }
    }

    fn switch(&mut self, now: Time, revision_id: &str, actions: &mut Vec<Action>) {
        let Some(at) = self.next.iter().position(|known| known.revision.id == revision_id) else { return };
        let Some(old) = self.live.replace(self.next.remove(at)) else { return };
        let until = now + old.revision.timeout + self.config.timeout_slack;
        self.retire(&old, until, StopReason::Replaced, actions);
    }

    fn discard(&mut self, now: Time, revision_id: &str, actions: &mut Vec<Action>) {
        let Some(at) = self.next.iter().position(|known| known.revision.id == revision_id) else { return };
        let known = self.next.remove(at);
        let until = now + known.revision.timeout + self.config.timeout_slack;
        self.retire(&known, until, StopReason::Discarded, actions);
    }

    fn close(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.closed = true;
        for waiter in self.probes.drain(..).chain(self.requests.drain(..)) {
            actions.push(Action::Refuse { waiter: waiter.id, refusal: Refusal::Closed });
        }
        let until = now + self.config.close_limit;
        for known in self.live.take().into_iter().chain(std::mem::take(&mut self.next)) {
            self.retire(&known, until, StopReason::Closed, actions);
        }
        for instance in &mut self.instances {
            instance.drain(until, StopReason::Closed, actions);
        }
    }

    /// A revision that is neither live nor next any more: no new slots, and whoever waits for it is told.
    fn retire(&mut self, known: &Known, until: Time, why: StopReason, actions: &mut Vec<Action>) {
        let revision_id = &known.revision.id;
        if known.preparing {
            let result = Err(abandoned());
            actions.push(Action::Prepared { revision_id: revision_id.clone(), result });
        }
        for instance in self.instances.iter_mut().filter(|i| i.revision.id == *revision_id) {
            instance.drain(until, why, actions);
        }
    }

    fn known(&mut self, revision_id: &str) -> Option<&mut Known> {
        self.live.iter_mut().chain(&mut self.next).find(|known| known.revision.id == revision_id)
    }
}
