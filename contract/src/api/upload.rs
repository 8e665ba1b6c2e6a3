//! Answer of `upload-url` and `download-url`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A URL that is good for one transfer, and the headers that go with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresignedUrl {
    /// Absolute, signed, expiring.
    pub url: String,
    /// `{"content-length": ["675"]}`
    pub headers: BTreeMap<String, Vec<String>>,
}
