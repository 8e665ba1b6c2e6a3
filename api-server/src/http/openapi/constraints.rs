//! What the types of bodies cannot say of themselves: limits that are configured, and which defaults there are. An
//! argument of one name means the same in every body.

use contract::{
    api::Privacy,
    limits::{
        ApiLimits, DEFAULT_MAX_SCALE, DEFAULT_MEMORY_MB, DEFAULT_MIN_SCALE, DEFAULT_TIMEOUT_MS, MEMORY_TO_CPU,
    },
    runtime::Runtime,
};
use serde_json::{Map, Value, json};

/// As [`super::super::namespaces::check_name`] has it.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$";
/// As [`super::super::containers`] checks it.
const CONTAINER_NAME: &str = "^[a-z0-9]+([_-][a-z0-9]+)*$";
/// As [`super::super::environment::take`] has it.
const VARIABLE: &str = "^(?!PORT$|_HANDLER$|SCW_|ZIPSHIP_|AWS_LAMBDA_)[A-Za-z_.-][A-Za-z0-9_.-]{0,254}$";

/// Adds them to the schema of a body.
pub(super) fn lay_over(body: &str, schema: &mut Value, limits: &ApiLimits) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties {
        let Some(property) = property.as_object_mut() else { continue };
        property.extend(bounds(body, name, limits));
        if body.starts_with("Create") {
            property.extend(default(name));
        }
        // `null` is as good as absent, also where only some values are allowed.
        if let Some(Value::Array(values)) = property.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    }
}

fn bounds(body: &str, name: &str, limits: &ApiLimits) -> Map<String, Value> {
    let bounds = match name {
        "name" if body == "CreateContainer" => json!({"pattern": CONTAINER_NAME, "maxLength": 63}),
        "name" => json!({"pattern": NAME}),
        // Empty is as good as absent, and these have to be there.
        "namespace_id" | "application_id" | "schedule" if body.starts_with("Create") => {
            json!({"minLength": 1})
        }
        "schedule" => json!({"minLength": 1}),
        "memory_limit" => json!({"enum": MEMORY_TO_CPU.map(|(memory, _)| memory)}),
        "timeout" => json!({"minimum": 1, "maximum": limits.timeout_ms}),
        "min_scale" => json!({"minimum": 0, "maximum": limits.max_scale}),
        "max_scale" => json!({"minimum": 1, "maximum": limits.max_scale}),
        "max_concurrency" => json!({"minimum": 1, "maximum": limits.max_concurrency}),
        "runtime" => json!({"enum": Runtime::names()}),
        "environment_variables" => json!({
            "maxProperties": limits.variables,
            "propertyNames": {"pattern": VARIABLE},
            "additionalProperties": {"type": "string", "maxLength": limits.variable_bytes},
        }),
        _ => json!({}),
    };
    object(bounds)
}

fn default(name: &str) -> Map<String, Value> {
    object(match name {
        "memory_limit" => json!({"default": DEFAULT_MEMORY_MB}),
        "timeout" => json!({"default": DEFAULT_TIMEOUT_MS}),
        "min_scale" => json!({"default": DEFAULT_MIN_SCALE}),
        "max_scale" => json!({"default": DEFAULT_MAX_SCALE}),
        "privacy" => json!({"default": Privacy::default()}),
        "runtime" => json!({"default": Runtime::DEFAULT.base()}),
        _ => json!({}),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
