//! What functions and containers have in common.

use serde::{Deserialize, Serialize};

/// State of a function or a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ApplicationStatus {
    /// Never deployed.
    Created,
    /// Being made.
    Creating,
    /// A deploy runs.
    Pending,
    /// The endpoint answers with what was deployed.
    Ready,
    /// The last deploy failed; an older version may still serve.
    Error,
    /// Going.
    Deleting,
    /// Locked by an operator.
    Locked,
}

/// Who may call an application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Not said: public on create, unchanged on update.
    #[default]
    Unknown,
    /// Anybody.
    Public,
    /// Who has a token.
    Private,
}
