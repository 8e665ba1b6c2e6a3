//! The end: what runs may finish within the grace period, then the worker goes, then the logs are flushed.
//!
//! Callers that keep a connection open are not cut off in the middle of their next request: at first every
//! answer asks them to close, and only connections on which nothing came for a while are closed from here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::time::{Instant, sleep, timeout};

use super::logs::{Level, Logs};
use super::signals::Stop;
use crate::worker::Worker;

/// Connections are idle when none has brought a request for so long.
const QUIET: Duration = Duration::from_millis(100);
/// Callers that go on for ever (HTTP/2 knows no such request to close) are told in their protocol's way then.
const LONGEST_LULL: Duration = Duration::from_secs(1);

/// Whether the end has begun, and what still comes.
#[derive(Debug, Default)]
pub(crate) struct End {
    has_begun: AtomicBool,
    requests: AtomicU64,
}

impl End {
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// A request has come.
    pub(crate) fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Resolves when no request has come for a while.
    async fn lull(&self) {
        let mut seen = self.requests.load(Ordering::Relaxed);
        let end = Instant::now() + LONGEST_LULL;
        while Instant::now() < end {
            sleep(QUIET).await;
            let now = self.requests.load(Ordering::Relaxed);
            if std::mem::replace(&mut seen, now) == now {
                return;
            }
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    /// In order, or at the end of the grace period.
    Stopped,
    /// By a second signal, of this number.
    AtOnce(u8),
}

/// Finishes in order. A second signal ends everything at once.
pub(crate) async fn drain(
    connections: GracefulShutdown,
    end: &End,
    worker: &Worker,
    logs: &Logs,
    stop: &mut Stop,
    grace: Duration,
) -> Drained {
    logs.platform(Level::Debug, "draining");
    let finish = async {
        if connections.count() > 0 {
            end.lull().await;
        }
        connections.shutdown().await;
    };
    // Cancellation: dropping `finish` drops the connections, which is what the end of the grace period means.
    tokio::select! {
        finished = timeout(grace, finish) => if finished.is_err() {
            logs.platform(Level::Warn, "the grace period is over: requests were cut off");
        },
        number = stop.next() => {
            logs.platform(Level::Warn, "told to stop twice: requests were cut off");
            worker.kill();
            return Drained::AtOnce(number);
        }
    }
    worker.stop().await;
    Drained::Stopped
}
