//! Namespaces, and the registry namespace beside each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A namespace as answered. No key is ever absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Namespace {
    /// UUID v4.
    pub id: String,
    /// Unique in the organization and region.
    pub name: String,
    /// Set in every function of the namespace; the function's own win.
    pub environment_variables: BTreeMap<String, String>,
    /// UUID v4 of the owner.
    pub organization_id: String,
    /// State.
    pub status: NamespaceStatus,
    /// UUID v4 of the registry namespace.
    pub registry_namespace_id: String,
    /// Empty unless `status` is `error`.
    pub error_message: String,
    /// `host:port/<slug>`, without a scheme.
    pub registry_endpoint: String,
    /// Free text.
    pub description: Option<String>,
    /// Region it belongs to.
    pub region: String,
}

/// State of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum NamespaceStatus {
    /// Being made.
    Creating,
    /// Usable.
    Ready,
    /// Going, with all that is in it.
    Deleting,
    /// It could not be made.
    Error,
    /// Locked by an operator.
    Locked,
    /// A change is under way.
    Pending,
}

/// Body of `POST namespaces`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateNamespace {
    /// Required; unique in the organization and region.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub name: Option<String>,
    /// Default: none.
    pub environment_variables: Option<BTreeMap<String, String>>,
    /// Default: the key's own organization.
    pub organization_id: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// Body of `PATCH namespaces/{id}`. `null` and absent mean unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateNamespace {
    /// Replaces the whole map.
    pub environment_variables: Option<BTreeMap<String, String>>,
    /// Free text.
    pub description: Option<String>,
}

/// A page of namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Namespaces {
    /// This page.
    pub namespaces: Vec<Namespace>,
    /// All that match, on every page.
    pub total_count: u64,
}

/// Answer of `GET /registry/v1beta2/regions/{region}/namespaces/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegistryNamespace {
    /// UUID v4.
    pub id: String,
    /// The slug.
    pub name: String,
    /// `host:port/<slug>`.
    pub endpoint: String,
    /// `ready`.
    pub status: String,
    /// Owner.
    pub organization_id: String,
    /// Region it belongs to.
    pub region: String,
}
