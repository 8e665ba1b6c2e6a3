//! Brings what the gateway counted to the store: every two seconds, before an application's rows go, and at the
//! server's end. A server that is killed loses what it had not brought yet, which is two seconds' worth.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use gateway::{Gateway, Usage};
use tokio::sync::Mutex;

use crate::store::{DAY_MS, Store, StoreError, UsageDelta, now_ms};

const PERIOD: Duration = Duration::from_secs(2);

/// Numbers that are not in the store yet, by application and day.
type Pending = BTreeMap<(String, i64), Usage>;

/// Whoever keeps usage. One a server.
pub struct UsageKeeper {
    store: Store,
    gateway: Arc<Gateway>,
    /// Held over a write, so that numbers are written once.
    pending: Mutex<Pending>,
}

impl UsageKeeper {
    /// Between a gateway and a store.
    #[must_use]
    pub fn new(store: Store, gateway: Arc<Gateway>) -> Self {
        Self { store, gateway, pending: Mutex::default() }
    }

    /// Keeps until `end` resolves. What is counted after that is the caller's to bring, with [`UsageKeeper::flush`].
    pub async fn run(&self, end: impl Future<Output = ()>) {
        tokio::pin!(end);
        loop {
            // Cancellation: `end` is kept, and a pause that is cut off has done nothing.
            tokio::select! {
                () = &mut end => return,
                () = tokio::time::sleep(PERIOD) => self.keep().await,
            }
        }
    }

    /// Brings what was counted. Where that fails it is brought with what comes next.
    pub async fn keep(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!(%error, "usage could not be stored; it is kept in memory until it can");
        }
    }

    /// Brings what was counted. A number counts for the day on which it is brought.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost then.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let mut pending = self.pending.lock().await;
        let today = now_ms().div_euclid(DAY_MS) * DAY_MS;
        for (application_id, used) in self.gateway.take_usage() {
            *pending.entry((application_id, today)).or_default() += used;
        }
        if pending.is_empty() {
            return Ok(());
        }
        let delta = |((application_id, day), used): (&(String, i64), &Usage)| UsageDelta {
            application_id: application_id.clone(),
            day: *day,
            used: *used,
        };
        let deltas: Vec<_> = pending.iter().map(delta).collect();
        let unknown = self.store.add_usage(&deltas).await?;
        if unknown > 0 {
            tracing::warn!(unknown, "usage of applications that are gone was dropped");
        }
        pending.clear();
        Ok(())
    }
}
