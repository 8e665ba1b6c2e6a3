//! Functions: one file an operation that changes something.

mod change;
mod fields;
mod read;

use contract::{api::Function, limits::cpu_of_memory};

pub(super) use change::{create, delete, deploy, update};
pub(super) use read::{LIST, get, list, list_of_namespace};

use super::origin::Origin;
use crate::store::FunctionRow;

/// The function as answered.
fn answer(row: FunctionRow, origin: &Origin) -> Function {
    Function {
        endpoint: origin.endpoint(&row.id),
        environment_variables: row.settings.environment.expose().clone(),
        cpu_limit: cpu_of_memory(row.settings.memory_mb).unwrap_or_default(),
        id: row.id,
        name: row.name,
        namespace_id: row.namespace_id,
        status: row.state,
        min_scale: row.settings.min_scale,
        max_scale: row.settings.max_scale,
        runtime: row.program.runtime,
        memory_limit: row.settings.memory_mb,
        timeout: row.settings.timeout_ms,
        handler: row.program.handler,
        error_message: row.error_message,
        privacy: row.settings.privacy,
        description: row.settings.description,
        region: row.region,
    }
}
