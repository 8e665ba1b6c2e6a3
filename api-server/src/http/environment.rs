//! Environment variables that users may set.

use contract::{environment::is_reserved, limits::ApiLimits};

use super::arguments::Arguments;
use crate::secrets::SecretMap;

const NAME: &str = "environment_variables";

/// The variables of a body, checked. Problems name the variable, never its value.
pub(super) fn take(arguments: &mut Arguments, limits: &ApiLimits) -> Option<SecretMap> {
    let map = arguments.text_map(NAME)?;
    if map.len() > limits.variables {
        let help = format!("{} variables; at most {} are allowed", map.len(), limits.variables);
        arguments.refuse_constraint(NAME, help);
    }
    for (name, value) in &map {
        if !is_name(name) {
            let help = format!("{name:?} is no name: letters, digits, '_', '-' and '.', not a digit first");
            arguments.refuse_constraint(NAME, help);
        } else if is_reserved(name) {
            let help =
                format!("{name} is reserved, as are PORT, _HANDLER, SCW_*, ZIPSHIP_* and AWS_LAMBDA_*");
            arguments.refuse_constraint(NAME, help);
        }
        if value.len() > limits.variable_bytes || value.contains('\0') {
            let help = format!("the value of {name:?} is over {} bytes or has a NUL", limits.variable_bytes);
            arguments.refuse_constraint(NAME, help);
        }
    }
    Some(SecretMap::from(map))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
