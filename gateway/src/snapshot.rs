//! What is going on, for people and tests: a copy that is as old as the call.

use serde::Serialize;

use crate::core::Phase;
use crate::function::Function;

/// All functions of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Ordered by id. A deleted function is not in it, though its instances may still drain.
    pub functions: Vec<FunctionSnapshot>,
}

/// One function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionSnapshot {
    /// Id of the function.
    pub id: String,
    /// Id of the live revision.
    pub revision: Option<String>,
    /// Requests that have no slot yet.
    pub waiting: usize,
    /// Its instances, oldest first.
    pub instances: Vec<InstanceSnapshot>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceSnapshot {
    /// Its name, as the runner knows it.
    pub name: String,
    /// Id of its revision.
    pub revision: String,
    /// Where it is in its life.
    pub phase: InstancePhase,
    /// Requests in it.
    pub in_flight: u32,
    /// Requests at once that it bears; 0 before it is ready.
    pub slots: u32,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InstancePhase {
    /// Its start goes on.
    Starting,
    /// It takes requests, when its revision is live.
    Ready,
    /// It finishes what it has.
    Draining,
    /// It is being stopped.
    Stopping,
}

impl FunctionSnapshot {
    pub(crate) fn of(function: &Function) -> Self {
        let inner = function.lock();
        let instances = inner.state.instances().iter().map(|instance| InstanceSnapshot {
            name: inner.instances.get(&instance.id).map(|named| named.name.clone()).unwrap_or_default(),
            revision: instance.revision.id.clone(),
            phase: match instance.phase {
                Phase::Starting { .. } => InstancePhase::Starting,
                Phase::Ready { .. } => InstancePhase::Ready,
                Phase::Draining { .. } => InstancePhase::Draining,
                Phase::Stopping { .. } => InstancePhase::Stopping,
            },
            in_flight: instance.in_flight,
            slots: instance.slots,
        });
        Self {
            id: function.id.clone(),
            revision: inner.state.live().map(|revision| revision.id.clone()),
            waiting: inner.state.waiting(),
            instances: instances.collect(),
        }
    }
}
