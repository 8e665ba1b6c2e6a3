//! What follows from the facts: who gets a slot, who is refused, what is started, what is stopped.

use std::sync::Arc;

use super::event::{Action, Cold, InstanceId, Refusal, Time, WaiterKind};
use super::instance::{Instance, Phase};
use super::{State, Waiter, balance};
use crate::{Revision, StopReason};

/// Instances of the live revision that count.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    starting: usize,
    ready: usize,
}

impl State {
    /// Brings everything that waits or idles to where it belongs. Without a new fact, a second call does nothing.
    pub(super) fn settle(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.grant(now, actions);
        self.refuse_what_pauses(now, actions);
        self.refuse_what_is_late(now, actions);
        self.start_what_is_missing(now, actions);
        self.stop_what_is_over(now, actions);
    }

    /// When time alone will change something.
    pub(crate) fn next_wake(&self, now: Time) -> Option<Time> {
        let deadlines = self.probes.iter().chain(&self.requests).map(|waiter| waiter.deadline);
        let counts = self.counts();
        let least = self.live.as_ref().map_or(0, |live| live.least(&self.config));
        let surplus = counts.ready > least;
        let instances = self.instances.iter().filter_map(|instance| match instance.phase {
            Phase::Draining { until } => Some(until),
            Phase::Ready { idle_since } if surplus && instance.is_empty() && self.is_live(instance) => {
                Some(idle_since + self.config.idle)
            }
            _ => None,
        });
        let missing = self.waiting() > 0 || counts.ready + counts.starting < least;
        let pause = self.live.as_ref().and_then(|live| live.paused_until(now)).filter(|_| missing);
        deadlines.chain(instances).chain(pause).min()
    }

    fn grant(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Some(live) = &self.live else { return };
        let revision_id = &live.revision.id;
        for (queue, kind) in
            [(&mut self.probes, WaiterKind::Probe), (&mut self.requests, WaiterKind::Request)]
        {
            while let Some(waiter) = queue.front()
                && let Some(instance) = balance::pick(&mut self.instances, revision_id, kind)
            {
                instance.take(kind);
                let cold = cold(waiter, instance, now);
                actions.push(Action::Grant { waiter: waiter.id, instance: instance.id, kind, cold });
                queue.pop_front();
            }
        }
    }

    fn refuse_what_pauses(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Counts { starting, ready } = self.counts();
        let Some(live) = &self.live else { return };
        if starting + ready > 0 {
            return;
        }
        for queue in [&mut self.probes, &mut self.requests] {
            queue.retain(|waiter| match live.refuses(now, waiter.deadline) {
                Some(refusal) => {
                    actions.push(Action::Refuse { waiter: waiter.id, refusal });
                    false
                }
                None => true,
            });
        }
    }

    fn refuse_what_is_late(&mut self, now: Time, actions: &mut Vec<Action>) {
        let busy = self.counts().ready > 0;
        for queue in [&mut self.probes, &mut self.requests] {
            queue.retain(|waiter| {
                let late = waiter.deadline <= now;
                if late {
                    let waited = now - waiter.arrived;
                    let refusal = if busy {
                        Refusal::NoSlotInTime { waited }
                    } else {
                        Refusal::NotStartedInTime { waited }
                    };
                    actions.push(Action::Refuse { waiter: waiter.id, refusal });
                }
                !late
            });
        }
    }

    /// One more instance only when those that are starting will not be enough; never more starts at once than
    /// instances that are ready, or one.
    fn start_what_is_missing(&mut self, now: Time, actions: &mut Vec<Action>) {
        loop {
            let Some(live) = &self.live else { return };
            let Counts { starting, ready } = self.counts();
            let coming = starting * live.slots_expected() as usize;
            let wanted = self.requests.len() > coming
                || (!self.probes.is_empty() && ready + starting == 0)
                || ready + starting < live.least(&self.config);
            let allowed = live.paused_until(now).is_none()
                && ready + starting < live.most(&self.config)
                && starting < ready.max(1);
            if !(wanted && allowed) {
                return;
            }
            let revision = Arc::clone(&live.revision);
            self.start(now, revision, actions);
        }
    }

    fn stop_what_is_over(&mut self, now: Time, actions: &mut Vec<Action>) {
        let least = self.live.as_ref().map_or(0, |live| live.least(&self.config));
        let mut surplus = self.counts().ready.saturating_sub(least);
        let live = self.live.as_ref().map(|live| live.revision.id.as_str());
        for instance in &mut self.instances {
            match instance.phase {
                Phase::Draining { until } if instance.is_empty() || until <= now => {
                    instance.end_drain(actions);
                }
                Phase::Ready { idle_since }
                    if surplus > 0
                        && instance.is_empty()
                        && idle_since + self.config.idle <= now
                        && live == Some(instance.revision.id.as_str()) =>
                {
                    surplus -= 1;
                    instance.end(StopReason::Idle, actions);
                }
                _ => {}
            }
        }
    }

    pub(super) fn start(&mut self, now: Time, revision: Arc<Revision>, actions: &mut Vec<Action>) {
        self.instances_made += 1;
        let id = InstanceId(self.instances_made);
        self.instances.push(Instance::new(id, Arc::clone(&revision), now));
        actions.push(Action::Start { instance: id, revision });
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for instance in self.instances.iter().filter(|instance| self.is_live(instance)) {
            match instance.phase {
                Phase::Starting { .. } => counts.starting += 1,
                Phase::Ready { .. } => counts.ready += 1,
                Phase::Draining { .. } | Phase::Stopping { .. } => {}
            }
        }
        counts
    }

    fn is_live(&self, instance: &Instance) -> bool {
        self.live.as_ref().is_some_and(|live| live.revision.id == instance.revision.id)
    }
}

/// The part of a request's wait that was an instance's start, when it was not ready at the arrival.
fn cold(waiter: &Waiter, instance: &Instance, now: Time) -> Option<Cold> {
    let start = instance.ready.checked_sub(waiter.arrived.max(instance.asked))?;
    (waiter.arrived < instance.ready).then(|| Cold { queue: now - waiter.arrived - start, start })
}
