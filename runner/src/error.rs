//! What a backend answers when it can't do what was asked.

use serde::{Deserialize, Serialize};

/// Why a backend refused or failed. It crosses the launcher's socket, so it holds words, not sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum RunnerError {
    /// The request itself is wrong: an id with strange characters, a limit out of range, a missing descriptor.
    #[error("the request to the runner is invalid: {0}")]
    Invalid(String),
    /// An instance or a compile job of this id exists already.
    #[error("{0} is running already")]
    Exists(String),
    /// No instance of this id.
    #[error("no instance {0}")]
    NotFound(String),
    /// A layer that the instance needs was never unpacked here.
    #[error("layer {0} is not unpacked on this machine")]
    LayerMissing(String),
    /// The layer is not what its digest says, or holds something that must not be unpacked.
    #[error("the layer can't be unpacked: {0}")]
    Layer(String),
    /// The OCI runtime failed; its own last words.
    #[error("the sandbox could not be made: {0}")]
    Sandbox(String),
    /// The machine lacks what is needed, such as a Go toolchain.
    #[error("not available on this machine: {0}")]
    Unavailable(String),
    /// The launcher is gone or is shutting down.
    #[error("the launcher is gone")]
    Disconnected,
}
