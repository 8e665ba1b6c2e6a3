//! Functions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ApplicationStatus, Privacy};

/// A function as answered. No key is ever absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Function {
    /// UUID v4.
    pub id: String,
    /// Unique among the namespace's functions.
    pub name: String,
    /// The namespace it is in.
    pub namespace_id: String,
    /// State.
    pub status: ApplicationStatus,
    /// Its own variables, without the namespace's.
    pub environment_variables: BTreeMap<String, String>,
    /// Instances kept when nobody calls.
    pub min_scale: u32,
    /// Most instances.
    pub max_scale: u32,
    /// Runtime's name, aliases as given.
    pub runtime: String,
    /// MB.
    pub memory_limit: u32,
    /// Thousandths of a core.
    pub cpu_limit: u32,
    /// URL that callers use; set at create, never changes.
    pub endpoint: String,
    /// One invocation's limit, in milliseconds.
    pub timeout: u64,
    /// Handler string.
    pub handler: String,
    /// The real cause of `error`, else empty.
    pub error_message: String,
    /// Who may call it.
    pub privacy: Privacy,
    /// Free text.
    pub description: Option<String>,
    /// Region it belongs to.
    pub region: String,
}

/// Body of `POST functions`. `null` and absent are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateFunction {
    /// Required; unique among the namespace's functions.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub name: Option<String>,
    /// Required; the namespace it is to be in.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub namespace_id: Option<String>,
    /// Default: none.
    pub environment_variables: Option<BTreeMap<String, String>>,
    /// Default 0.
    pub min_scale: Option<u32>,
    /// Default 20.
    pub max_scale: Option<u32>,
    /// Default `golang`.
    pub runtime: Option<String>,
    /// MB, default 256.
    pub memory_limit: Option<u32>,
    /// Milliseconds, default 300000.
    pub timeout: Option<u64>,
    /// Default by runtime.
    pub handler: Option<String>,
    /// Default public.
    pub privacy: Option<Privacy>,
    /// Free text.
    pub description: Option<String>,
    /// Requests at once in one instance; default by runtime.
    pub max_concurrency: Option<u32>,
}

/// Body of `PATCH functions/{id}`. `null` and absent mean unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateFunction {
    /// Replaces the whole map.
    pub environment_variables: Option<BTreeMap<String, String>>,
    /// Instances kept when nobody calls.
    pub min_scale: Option<u32>,
    /// Most instances.
    pub max_scale: Option<u32>,
    /// Runtime's name.
    pub runtime: Option<String>,
    /// MB.
    pub memory_limit: Option<u32>,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// Absent: true when a version is live and something that runs changed (`docs/api.md`).
    pub redeploy: Option<bool>,
    /// Handler string.
    pub handler: Option<String>,
    /// `unknown` means unchanged.
    pub privacy: Option<Privacy>,
    /// Free text.
    pub description: Option<String>,
    /// Requests at once in one instance.
    pub max_concurrency: Option<u32>,
}

/// A page of functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Functions {
    /// This page.
    pub functions: Vec<Function>,
    /// All that match, on every page.
    pub total_count: u64,
}

/// Answer of `GET runtimes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Runtimes {
    /// Every name that is accepted.
    pub runtimes: Vec<String>,
}
