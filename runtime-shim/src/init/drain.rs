//! The end: what runs may finish within the grace period, then the worker goes, then the logs are flushed.

use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;

use super::logs::{Level, Logs};
use super::signals::Stop;
use crate::worker::Worker;

/// Connections that were accepted a moment ago get this long to be read, so that their request counts as running.
const SETTLE: Duration = Duration::from_millis(20);

/// Finishes in order. A second signal ends the wait at once.
pub(crate) async fn drain(
    connections: GracefulShutdown,
    worker: &Worker,
    logs: &Logs,
    stop: &mut Stop,
    grace: Duration,
) {
    logs.platform(Level::Debug, "draining");
    let finish = async {
        tokio::time::sleep(SETTLE).await;
        connections.shutdown().await;
    };
    // Cancellation: dropping `finish` drops the connections, which is what the end of the grace period means.
    tokio::select! {
        () = finish => {}
        () = tokio::time::sleep(grace) => logs.platform(Level::Warn, "the grace period is over: requests were cut off"),
        () = stop.next() => logs.platform(Level::Warn, "told to stop twice: requests were cut off"),
    }
    worker.stop().await;
}
