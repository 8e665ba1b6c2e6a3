//! What functions and containers used. An extension of ours.

use serde::{Deserialize, Serialize};

/// One day (UTC) of one function or container. No key is ever absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageDay {
    /// The function or container; it may be deleted.
    pub application_id: String,
    /// The namespace that it is or was in.
    pub namespace_id: String,
    /// `function` or `container`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `2030-01-31`, in UTC.
    pub day: String,
    /// Requests that reached an instance.
    pub invocations: u64,
    /// Those of them that got no answer, not all of it, or one of status 500 or more.
    pub errors: u64,
    /// Those that waited for an instance's start.
    pub cold_starts: u64,
    /// How long they took in their instances, each rounded up to a millisecond; starts are not part of it.
    pub duration_ms: u64,
    /// The same, each times the memory limit, in GB (1024 MB) times seconds.
    pub gb_seconds: f64,
}

/// A page of usage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// This page.
    pub usage: Vec<UsageDay>,
    /// All that match, on every page.
    pub total_count: u64,
}
