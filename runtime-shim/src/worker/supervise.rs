//! The life of the worker's processes, one after the other: started, watched, started again after a wait that
//! grows while they keep dying.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::{Launcher, State, Verdict, Worker, health, process};
use crate::init::logs::Level;
use crate::request::answer::Refusal;

/// Waits before a worker that died is started again: the first time at once.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A worker that lived this long, and as long as it was waited for, was well.
const WELL: Duration = Duration::from_secs(1);

/// The wait before the next start.
#[derive(Debug, Default)]
struct Backoff {
    wait: Duration,
    next: Duration,
}

impl Backoff {
    /// A process died, or did not even start. It had served for `lived`.
    fn died(&mut self, lived: Duration) {
        if lived >= WELL.max(self.wait) {
            *self = Self::default();
        }
        self.wait = self.next;
        self.next = (self.next * 2).clamp(FIRST, LONGEST);
    }

    /// Replaced, which is no death.
    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Runs until the worker is to stop, or its handler turns out not to be there.
pub(super) async fn supervise(worker: Arc<Worker>, launcher: Launcher, verdict: oneshot::Sender<Verdict>) {
    let mut verdict = Some(verdict);
    let mut backoff = Backoff::default();
    loop {
        if !backoff.wait.is_zero() {
            let wait = backoff.wait.as_millis();
            worker.logs.platform(Level::Warn, &format!("the worker is started again in {wait} ms"));
        }
        sleep(backoff.wait).await;
        if worker.is_stopping() {
            return;
        }
        let running = match launcher.start(&worker.logs).await {
            Ok(running) => Arc::new(running),
            Err(failure) => {
                if worker.is_stopping() {
                    return;
                }
                worker.logs.platform(Level::Error, &failure.message);
                worker.state.send_replace(State::Broken(failure.refusal()));
                tell(&mut verdict, Verdict::Broken(failure.message.clone()));
                if failure.is_final {
                    return;
                }
                backoff.died(Duration::ZERO);
                continue;
            }
        };
        worker.state.send_replace(State::Ready(running.clone()));
        if verdict.is_none() {
            worker.restarts.fetch_add(1, Ordering::Relaxed);
        }
        tell(&mut verdict, Verdict::Ready(running.max_concurrency));
        let started = Instant::now();
        let _watch = health::watch(running.clone(), worker.logs.clone());
        // Cancellation: `ended` only observes; a notification that is not taken is this process's alone.
        tokio::select! {
            how = running.ended() => {
                running.is_over.store(true, Ordering::Relaxed);
                worker.state.send_replace(State::Starting);
                running.link.drained().await;
                running.link.fail(&Refusal::worker_killed(&how));
                if worker.is_stopping() {
                    return;
                }
                worker.logs.platform(Level::Error, &how);
                backoff.died(started.elapsed());
            }
            () = running.link.unsound() => {
                worker.replace(&running, "an error that nothing caught");
                tokio::spawn(process::retire(running, launcher.longest_call(), worker.logs.clone()));
                backoff.died(started.elapsed());
            }
            () = running.replace.notified() => {
                tokio::spawn(process::retire(running, launcher.longest_call(), worker.logs.clone()));
                backoff.reset();
            }
        }
    }
}

fn tell(verdict: &mut Option<oneshot::Sender<Verdict>>, what: Verdict) {
    if let Some(sender) = verdict.take() {
        // The receiver is gone when the shim is told to stop while it starts.
        let _ = sender.send(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_its_longest_and_starts_anew_after_a_good_life() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            backoff.died(Duration::ZERO);
            waits.push(backoff.wait.as_millis());
        }
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000]);
        backoff.died(Duration::from_secs(9));
        assert_eq!(backoff.wait, LONGEST, "it lived shorter than it was waited for");
        backoff.died(Duration::from_secs(10));
        assert_eq!(backoff.wait, Duration::ZERO);
        backoff.died(Duration::from_millis(500));
        assert_eq!(backoff.wait, FIRST);
    }
}
