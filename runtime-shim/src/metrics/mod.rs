//! What the shim counts, and the page that shows it. Counting costs a few additions a request; all that can be looked
//! up is looked up when the page is asked for.

mod histogram;
mod page;
mod serve;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use self::histogram::Histogram;
pub(crate) use self::serve::{Port, serve};

/// Status under which a request is counted whose caller went away before the answer.
const CALLER_GONE: u16 = 499;
/// Statuses that are counted each: 0 to 599.
const STATUSES: usize = 600;

pub(crate) struct Metrics {
    by_status: [AtomicU64; STATUSES],
    /// From the whole head to the answer's head.
    duration: Histogram,
    /// Waits for a slot, those that need none included.
    queue: Histogram,
    process_started: Instant,
    /// Microseconds from the start to the verdict about the handler; 0 while there is none.
    cold_start_us: AtomicU64,
}

impl Metrics {
    /// `process_started`: when the shim began.
    pub(crate) fn new(process_started: Instant) -> Self {
        Self {
            by_status: [const { AtomicU64::new(0) }; STATUSES],
            duration: Histogram::default(),
            queue: Histogram::default(),
            process_started,
            cold_start_us: AtomicU64::new(0),
        }
    }

    /// The handler is there, or is known not to be.
    pub(crate) fn started(&self) {
        let took = self.process_started.elapsed().as_micros();
        self.cold_start_us.store(u64::try_from(took).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// A request comes in; it is counted when the value is told its answer, or dropped without one.
    pub(crate) fn request(&self) -> Count<'_> {
        Count { metrics: self, since: Instant::now(), status: CALLER_GONE }
    }

    /// Takes the time of a wait for a slot that was granted.
    pub(crate) async fn waiting<T, E>(&self, slot: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let since = Instant::now();
        let slot = slot.await?;
        self.queue.observe(since.elapsed());
        Ok(slot)
    }
}

/// One request, counted at its end.
pub(crate) struct Count<'a> {
    metrics: &'a Metrics,
    since: Instant,
    status: u16,
}

impl Count<'_> {
    /// Tells the answer. Says how long it took.
    pub(crate) fn answered(mut self, status: StatusCode) -> Duration {
        self.status = status.as_u16();
        self.since.elapsed()
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if let Some(counter) = self.metrics.by_status.get(usize::from(self.status)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.metrics.duration.observe(self.since.elapsed());
    }
}
