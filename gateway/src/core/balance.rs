//! Which instance a request goes to.

use super::event::WaiterKind;
use super::instance::{Instance, Phase};

/// The least loaded ready instance of the revision that has a place; the oldest among equals, so that the
/// younger ones get idle and go.
pub(super) fn pick<'a>(
    instances: &'a mut [Instance],
    revision_id: &str,
    kind: WaiterKind,
) -> Option<&'a mut Instance> {
    instances
        .iter_mut()
        .filter(|instance| instance.revision.id == revision_id)
        .filter(|instance| match kind {
            WaiterKind::Request => instance.free() > 0,
            WaiterKind::Probe => matches!(instance.phase, Phase::Ready { .. }),
        })
        .min_by_key(|instance| (instance.in_flight, instance.id))
}
