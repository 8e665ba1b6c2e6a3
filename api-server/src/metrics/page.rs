//! The page: OpenMetrics text.

use gateway::{InstancePhase, Snapshot};
use prometheus_client::encoding::text::encode;

use super::{Metrics, OfState};

/// `Content-Type` of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PHASES: [(InstancePhase, &str); 4] = [
    (InstancePhase::Starting, "starting"),
    (InstancePhase::Ready, "ready"),
    (InstancePhase::Draining, "draining"),
    (InstancePhase::Stopping, "stopping"),
];

/// What is so now, and counted nowhere.
#[derive(Debug)]
pub struct Now {
    /// The gateway.
    pub gateway: Snapshot,
    /// Deploys that are not at an end; `None` when the store does not answer.
    pub deploys: Option<usize>,
    /// Bytes in the registry.
    pub registry_bytes: u64,
}

/// The page as it is now.
///
/// # Errors
/// None that memory's end would not be.
pub fn text(metrics: &Metrics, now: &Now) -> Result<String, std::fmt::Error> {
    let instances = || now.gateway.functions.iter().flat_map(|function| &function.instances);
    for (phase, state) in PHASES {
        let count = instances().filter(|instance| instance.phase == phase).count();
        metrics.instances.get_or_create(&OfState { state }).set(signed(count));
    }
    metrics.held.set(signed(now.gateway.functions.iter().map(|function| function.waiting).sum()));
    if let Some(deploys) = now.deploys {
        metrics.queued.set(signed(deploys));
    }
    metrics.registry_bytes.set(now.registry_bytes);
    let mut text = String::new();
    encode(&mut text, &metrics.registry)?;
    Ok(text)
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
