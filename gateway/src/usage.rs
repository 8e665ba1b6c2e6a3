//! What functions used: added up where a request gives its slot back, and taken away by whoever keeps it. Adding
//! takes no lock.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Gateway;

/// What a function used since this was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests that reached an instance, also those that failed there.
    pub invocations: u64,
    /// Those of them that got no answer, not all of it, or one of status 500 or more.
    pub errors: u64,
    /// Those that waited for an instance's start.
    pub cold_starts: u64,
    /// How long they held their places, each rounded up to a millisecond; a start is not part of it.
    pub duration_ms: u64,
    /// The same, each times the instance's memory limit in MB.
    pub memory_mb_ms: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.invocations += more.invocations;
        self.errors += more.errors;
        self.cold_starts += more.cold_starts;
        self.duration_ms += more.duration_ms;
        self.memory_mb_ms += more.memory_mb_ms;
    }
}

/// How a request in an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// No byte of it reached the instance: it may go to another one, and counts there.
    NotSent,
    /// Without an answer, or with one that says so.
    Failed,
    /// With an answer.
    Answered,
}

/// One request, once it is over.
pub(crate) struct Used {
    pub(crate) invocation: Invocation,
    pub(crate) is_cold: bool,
    pub(crate) duration: Duration,
    pub(crate) memory_mb: u32,
}

/// The sums of one function.
pub(crate) struct Counters {
    function_id: String,
    invocations: AtomicU64,
    errors: AtomicU64,
    cold_starts: AtomicU64,
    duration_ms: AtomicU64,
    memory_mb_ms: AtomicU64,
}

impl Counters {
    pub(crate) fn new(function_id: &str) -> Self {
        Self {
            function_id: function_id.to_owned(),
            invocations: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            cold_starts: AtomicU64::new(0),
            duration_ms: AtomicU64::new(0),
            memory_mb_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, used: &Used) {
        if used.invocation == Invocation::NotSent {
            return;
        }
        let ms = u64::try_from(used.duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
        self.errors.fetch_add(u64::from(used.invocation == Invocation::Failed), Ordering::Relaxed);
        self.cold_starts.fetch_add(u64::from(used.is_cold), Ordering::Relaxed);
        self.duration_ms.fetch_add(ms, Ordering::Relaxed);
        self.memory_mb_ms.fetch_add(ms.saturating_mul(u64::from(used.memory_mb)), Ordering::Relaxed);
        // Last: whoever sees it sees the rest.
        self.invocations.fetch_add(1, Ordering::Release);
    }

    /// A request that is being added may be split over two of these; none is lost or counted twice.
    fn take(&self) -> Option<Usage> {
        let invocations = self.invocations.swap(0, Ordering::Acquire);
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        (invocations > 0).then(|| Usage {
            invocations,
            errors: take(&self.errors),
            cold_starts: take(&self.cold_starts),
            duration_ms: take(&self.duration_ms),
            memory_mb_ms: take(&self.memory_mb_ms),
        })
    }
}

/// The counters of all functions, also of those that are deleted and not yet read.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Arc<Counters>>>);

impl Ledger {
    /// Counters of a function that is made known.
    pub(crate) fn open(&self, function_id: &str) -> Arc<Counters> {
        let counters = Arc::new(Counters::new(function_id));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    fn take(&self) -> Vec<(String, Usage)> {
        let mut taken = Vec::new();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain_mut(|counters| {
            // Looked at before they are taken: what nobody else holds grows no more.
            let is_held = Arc::get_mut(counters).is_none();
            taken.extend(counters.take().map(|usage| (counters.function_id.clone(), usage)));
            is_held
        });
        taken
    }
}

impl Gateway {
    /// What each function used since this was last asked, by its id; those that used nothing are left out. Whoever
    /// asks has to keep it.
    #[must_use]
    pub fn take_usage(&self) -> Vec<(String, Usage)> {
        self.shared.ledger.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(invocation: Invocation, micros: u64) -> Used {
        Used { invocation, is_cold: false, duration: Duration::from_micros(micros), memory_mb: 128 }
    }

    #[test]
    fn each_request_is_rounded_up_to_a_millisecond_and_counted_once() {
        let ledger = Ledger::default();
        let counters = ledger.open("f");
        counters.add(&used(Invocation::Answered, 1));
        counters.add(&used(Invocation::Failed, 1001));
        counters.add(&Used { is_cold: true, ..used(Invocation::Answered, 2000) });
        counters.add(&used(Invocation::NotSent, 5000));
        let all = Usage { invocations: 3, errors: 1, cold_starts: 1, duration_ms: 5, memory_mb_ms: 5 * 128 };
        assert_eq!(ledger.take(), [("f".to_owned(), all)]);
        assert_eq!(ledger.take(), []);
    }

    #[test]
    fn what_a_deleted_function_used_is_still_read_and_then_forgotten() {
        let ledger = Ledger::default();
        let counters = ledger.open("f");
        counters.add(&used(Invocation::Answered, 1));
        drop(counters);
        assert_eq!(ledger.take().len(), 1);
        assert!(ledger.0.lock().unwrap().is_empty());
    }

    #[test]
    fn nothing_is_lost_or_counted_twice_while_it_is_read() {
        let ledger = Ledger::default();
        let counters = ledger.open("f");
        let mut sum = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| counters.add(&used(Invocation::Answered, 1))));
            }
            while sum < 40_000 {
                sum += ledger.take().iter().map(|(_, usage)| usage.invocations).sum::<u64>();
            }
        });
        assert_eq!(sum, 40_000);
        assert_eq!(ledger.take(), []);
    }
}
