//! What has been learnt of a revision: its slots, how slowly it starts, and whether it fails.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Refusal, Time};
use crate::{GatewayConfig, Revision, StartFailureKind};

/// A revision that is live or was prepared.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) revision: Arc<Revision>,
    /// Somebody waits for an instance of it to be ready.
    pub(super) preparing: bool,
    /// Slots that its instances said they have.
    slots: Option<u32>,
    slowest_start: Duration,
    /// Failed starts and crashes since the last answer.
    failures: u32,
    pause: Option<Pause>,
}

/// No start before `until`.
#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Time,
    cause: Cause,
}

/// Why a revision pauses.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause {
    /// A start failed.
    Start(StartFailureKind),
    /// An instance that was ready died.
    Crash,
}

impl Known {
    pub(super) fn new(revision: Arc<Revision>) -> Self {
        Self {
            revision,
            preparing: false,
            slots: None,
            slowest_start: Duration::ZERO,
            failures: 0,
            pause: None,
        }
    }

    pub(super) fn started(&mut self, took: Duration, slots: u32) {
        self.slots = Some(slots);
        self.slowest_start = self.slowest_start.max(took);
    }

    pub(super) fn recovered(&mut self) {
        self.failures = 0;
        self.pause = None;
    }

    /// 1, 2, 4 .. 60 s.
    pub(super) fn failed(&mut self, now: Time, cause: Cause, config: &GatewayConfig) {
        let doubled = config.backoff_first.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        self.pause = Some(Pause { until: now + doubled.min(config.backoff_most), cause });
    }

    pub(super) fn paused_until(&self, now: Time) -> Option<Time> {
        self.pause.map(|pause| pause.until).filter(|until| now < *until)
    }

    /// Whether a request has to be refused while nothing can be started: after a failed start, always (no
    /// storm of starts); after a crash, when the pause outlasts the request's deadline.
    pub(super) fn refuses(&self, now: Time, deadline: Time) -> Option<Refusal> {
        let pause = self.pause.filter(|pause| now < pause.until)?;
        let retry_after = pause.until - now;
        match pause.cause {
            Cause::Start(kind) => Some(Refusal::StartFailed { kind, retry_after }),
            Cause::Crash if deadline <= pause.until => Some(Refusal::Crashing { retry_after }),
            Cause::Crash => None,
        }
    }

    /// Slots that one more instance will likely have.
    pub(super) fn slots_expected(&self) -> u32 {
        self.slots.or(self.revision.max_concurrency).unwrap_or(1).max(1)
    }

    /// The queue of a revision whose slots nobody knows yet is bounded by the configuration alone.
    pub(super) fn queue_bound(&self, config: &GatewayConfig) -> usize {
        let Some(slots) = self.slots.or(self.revision.max_concurrency) else { return config.queue_bound };
        let at_once = u64::from(slots.max(1)) * u64::from(self.revision.max_scale.max(1));
        config.queue_bound.min(usize::try_from(20 * at_once).unwrap_or(usize::MAX))
    }

    /// Of a revision that has not started since this server did, nothing is known, and its layers may have to be
    /// unpacked first: who waits is told by the start's own end.
    pub(super) fn queue_deadline(&self, config: &GatewayConfig) -> Duration {
        let slow = match self.slots {
            Some(_) => (self.slowest_start * 7 / 2).min(config.start_limit),
            None => config.start_limit_of(self.revision.program),
        };
        config.queue_deadline.max(slow)
    }

    /// Most instances of it at once.
    pub(super) fn most(&self, config: &GatewayConfig) -> usize {
        self.revision.max_scale.min(config.instances).max(1) as usize
    }

    /// Instances of it that are kept although idle.
    pub(super) fn least(&self, config: &GatewayConfig) -> usize {
        (self.revision.min_scale as usize).min(self.most(config))
    }
}
