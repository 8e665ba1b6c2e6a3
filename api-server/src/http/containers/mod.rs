//! Containers: one file an operation that changes something.

mod change;
mod fields;
mod read;

use contract::{api::Container, limits::cpu_of_memory};

pub(super) use change::{create, delete, deploy, update};
pub(super) use read::{LIST, get, list, list_of_namespace};

use super::origin::Origin;
use crate::store::ContainerRow;

/// The container as answered.
fn answer(row: ContainerRow, origin: &Origin) -> Container {
    Container {
        registry_image: origin.registry_endpoint(&row.image()),
        endpoint: origin.endpoint(&row.id),
        environment_variables: row.settings.environment.expose().clone(),
        cpu_limit: cpu_of_memory(row.settings.memory_mb).unwrap_or_default(),
        id: row.id,
        name: row.name,
        namespace_id: row.namespace_id,
        status: row.state,
        min_scale: row.settings.min_scale,
        max_scale: row.settings.max_scale,
        memory_limit: row.settings.memory_mb,
        timeout: row.settings.timeout_ms,
        error_message: row.error_message,
        privacy: row.settings.privacy,
        description: row.settings.description,
        region: row.region,
    }
}
