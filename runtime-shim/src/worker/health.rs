//! Looks whether a worker's loop is stuck: a handler that computes without pause holds up all others.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{Link, Running};
use crate::init::logs::{Level, Logs};

/// Between two pings, while requests run.
const EVERY: Duration = Duration::from_secs(1);
/// A loop that takes longer to answer is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// The watch, which ends when dropped.
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Pings the worker while it holds requests. A stuck loop is only told of: whether the handler may go on is
/// its timeout's decision.
pub(super) fn watch(running: Arc<Running>, logs: Logs) -> Watch {
    Watch(tokio::spawn(async move {
        let Link::Frames(channel) = &running.link else { return };
        let mut is_told = false;
        loop {
            sleep(EVERY).await;
            if channel.pending.count() == 0 {
                running.set_lag(Duration::ZERO);
                continue;
            }
            let asked = Instant::now();
            let answered = timeout(PATIENCE, channel.ping()).await.is_ok();
            running.set_lag(asked.elapsed());
            if !answered && !is_told {
                let seconds = PATIENCE.as_secs();
                let line = format!("the worker has not answered a ping for {seconds} s: a handler blocks it");
                logs.platform(Level::Warn, &line);
            }
            is_told = !answered;
        }
    }))
}
