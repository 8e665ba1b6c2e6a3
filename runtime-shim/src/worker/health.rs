//! Says so when a worker's loop is stuck: a handler that computes without pause holds up all others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Link, Running};
use crate::init::logs::{Level, Logs};

/// Between two pings, while requests run.
const EVERY: Duration = Duration::from_secs(5);
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
        for number in 1_u32.. {
            sleep(EVERY).await;
            if channel.pending.count() == 0 {
                continue;
            }
            let asked = Instant::now();
            let is_stuck = !channel.answers(number, PATIENCE).await;
            running.set_lag(asked.elapsed());
            if is_stuck {
                let line = format!(
                    "the worker has not answered a ping for {} s: a handler blocks it",
                    PATIENCE.as_secs()
                );
                logs.platform(Level::Warn, &line);
            }
        }
    }))
}
