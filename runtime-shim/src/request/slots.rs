//! Room in this instance: so many at once, so many waiting, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// A request's place; free again when dropped.
pub(crate) type Slot = OwnedSemaphorePermit;

pub(crate) struct Slots {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    at_once: usize,
    /// How long a request waits for a slot before it is told that there is no room.
    patience: Duration,
}

impl Slots {
    pub(crate) fn new(at_once: u32, queue: usize, patience: Duration) -> Self {
        let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            queue,
            at_once,
            patience,
        }
    }

    /// How full it is.
    pub(crate) fn load(&self) -> Load {
        let running = self.at_once - self.free.available_permits().min(self.at_once);
        Load { running, waiting: self.waiting.load(Ordering::Relaxed), at_once: self.at_once }
    }

    /// A slot, or 429 when the queue is full or the wait too long.
    ///
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn take(&self) -> Result<Slot, Refusal> {
        if let Ok(slot) = self.free.clone().try_acquire_owned() {
            return Ok(slot);
        }
        let Some(_place) = Place::take(&self.waiting, self.queue) else { return Err(no_room()) };
        let slot = tokio::time::timeout(self.patience, self.free.clone().acquire_owned()).await;
        slot.ok().and_then(Result::ok).ok_or_else(no_room)
    }
}

/// Requests in this instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) at_once: usize,
}

fn no_room() -> Refusal {
    let message = "this instance serves as many requests as it may; try again";
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Instance.Full", message).retry_after(1)
}

/// A place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, queue: usize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= queue {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_freed_slot_goes_to_the_first_in_line() {
        let slots = Arc::new(Slots::new(1, 1, Duration::from_secs(60)));
        let held = slots.take().await.expect("free");
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take().await.is_ok() }
        });
        while slots.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let refusal = slots.take().await.expect_err("the queue is full");
        assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
        drop(held);
        assert!(waiting.await.expect("task"));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let slots = Slots::new(1, 1, Duration::from_millis(10));
        let _held = slots.take().await.expect("free");
        assert!(slots.take().await.is_err());
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }
}
