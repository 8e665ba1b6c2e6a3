//! Containers: applications that are an image of the user's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ApplicationStatus, Privacy};

/// A container as answered. No key is ever absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Container {
    /// UUID v4.
    pub id: String,
    /// Unique among the namespace's containers; also the last component of its repository.
    pub name: String,
    /// The namespace it is in.
    pub namespace_id: String,
    /// State; the same ones as a function's.
    pub status: ApplicationStatus,
    /// Its own variables, without the namespace's.
    pub environment_variables: BTreeMap<String, String>,
    /// Instances kept when nobody calls.
    pub min_scale: u32,
    /// Most instances.
    pub max_scale: u32,
    /// MB.
    pub memory_limit: u32,
    /// Thousandths of a core.
    pub cpu_limit: u32,
    /// URL that callers use; set at create, never changes.
    pub endpoint: String,
    /// One request's limit, in milliseconds.
    pub timeout: u64,
    /// The real cause of `error`, else empty.
    pub error_message: String,
    /// What its variable `SCW_PUBLIC` says; the container itself validates tokens.
    pub privacy: Privacy,
    /// Free text.
    pub description: Option<String>,
    /// Region it belongs to.
    pub region: String,
    /// The image that a deploy takes, `host:port/<slug>/<name>:latest` unless another was named. Not in the document.
    pub registry_image: String,
}

/// Body of `POST containers`. `null` and absent are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateContainer {
    /// Required; unique among the namespace's containers.
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
    /// MB, default 256.
    pub memory_limit: Option<u32>,
    /// Milliseconds, default 300000.
    pub timeout: Option<u64>,
    /// Default public.
    pub privacy: Option<Privacy>,
    /// Free text.
    pub description: Option<String>,
    /// Requests at once in one instance; default 80.
    pub max_concurrency: Option<u32>,
    /// An image of this server's registry; default `<registry endpoint>/<name>:latest`.
    pub registry_image: Option<String>,
}

/// Body of `PATCH containers/{id}`. `null` and absent mean unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateContainer {
    /// Replaces the whole map.
    pub environment_variables: Option<BTreeMap<String, String>>,
    /// Instances kept when nobody calls.
    pub min_scale: Option<u32>,
    /// Most instances.
    pub max_scale: Option<u32>,
    /// MB.
    pub memory_limit: Option<u32>,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// Absent: true when a version is live and something that runs changed (`docs/api.md`).
    pub redeploy: Option<bool>,
    /// `unknown` means unchanged.
    pub privacy: Option<Privacy>,
    /// Free text.
    pub description: Option<String>,
    /// Requests at once in one instance.
    pub max_concurrency: Option<u32>,
    /// An image of this server's registry.
    pub registry_image: Option<String>,
}

/// A page of containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Containers {
    /// This page.
    pub containers: Vec<Container>,
    /// All that match, on every page.
    pub total_count: u64,
}
