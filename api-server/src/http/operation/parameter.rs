//! Parameters of queries, as an operation declares them.

use serde_json::{Value, json};

/// One key of a query.
#[derive(Debug, Clone)]
pub(in crate::http) struct Parameter {
    /// Its name.
    pub(in crate::http) name: &'static str,
    /// What it is for, with its unit.
    pub(in crate::http) says: String,
    /// Whether the operation refuses to go without it.
    pub(in crate::http) required: bool,
    /// JSON Schema of its value.
    pub(in crate::http) schema: Value,
}

impl Parameter {
    fn new(name: &'static str, says: impl Into<String>, schema: Value) -> Self {
        Self { name, says: says.into(), required: false, schema }
    }

    /// Any text; empty counts as absent.
    pub(in crate::http) fn text(name: &'static str, says: impl Into<String>) -> Self {
        Self::new(name, says, json!({"type": "string"}))
    }

    /// A date and time as RFC 3339 writes it.
    pub(in crate::http) fn date(name: &'static str, says: impl Into<String>) -> Self {
        Self::new(name, says, json!({"type": "string", "format": "date-time"}))
    }

    /// A day, `2030-01-31`.
    pub(in crate::http) fn day(name: &'static str, says: impl Into<String>) -> Self {
        Self::new(name, says, json!({"type": "string", "format": "date"}))
    }

    /// A whole number from 1, bounded by `most` where larger ones are refused.
    pub(in crate::http) fn number(
        name: &'static str,
        says: impl Into<String>,
        most: Option<u64>,
        default: Option<u32>,
    ) -> Self {
        let mut schema = json!({"type": "integer", "minimum": 1});
        if let Some(most) = most {
            schema["maximum"] = most.into();
        }
        if let Some(default) = default {
            schema["default"] = default.into();
        }
        Self::new(name, says, schema)
    }

    /// One of these names; the first one is the default.
    pub(in crate::http) fn one_of(name: &'static str, says: impl Into<String>, names: &[String]) -> Self {
        Self::new(name, says, json!({"type": "string", "enum": names, "default": names.first()}))
    }

    /// The same, and it must be there. Empty counts as absent.
    #[must_use]
    pub(in crate::http) fn required(mut self) -> Self {
        if self.schema["type"] == "string" {
            self.schema["minLength"] = 1.into();
        }
        Self { required: true, ..self }
    }
}
