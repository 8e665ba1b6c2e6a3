//! Answer of `GET jwt/issue`.

use serde::{Deserialize, Serialize};

/// A token and the key that proves it. Neither is stored for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IssuedToken {
    /// The signed JWT.
    pub token: String,
    /// PKCS#1 PEM of the namespace's public key.
    pub public_key: String,
}
