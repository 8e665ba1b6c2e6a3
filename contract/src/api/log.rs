//! Lines of an application's log. All but `id`, `message` and `timestamp` are extensions of ours.

use serde::{Deserialize, Serialize};

use crate::instance::LogStream;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Log {
    /// Unique in its log; later lines have greater ids, as text too.
    pub id: String,
    /// The text, without its newline.
    pub message: String,
    /// When it was said, RFC 3339.
    pub timestamp: String,
    /// Who said it.
    pub stream: LogStream,
    /// The instance that said it, or that it is about; `null` where there is none.
    pub instance_id: Option<String>,
    /// The `X-Request-Id` of the request that it belongs to; `null` where none is known.
    pub request_id: Option<String>,
    /// 0 for a whole line or the first part of a very long one; 1, 2, ... for its other parts.
    pub part: u32,
}

/// A page of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Logs {
    /// This page.
    pub logs: Vec<Log>,
    /// All that match, on every page.
    pub total_count: u64,
    /// The id that the next line will have: as `before`, it keeps further pages from shifting while lines are written.
    pub end: String,
}

/// Order of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogOrder {
    /// Newest first.
    #[default]
    TimestampDesc,
    /// Oldest first.
    TimestampAsc,
}
