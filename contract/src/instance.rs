//! What crosses an instance's inherited descriptors: the ready line, the control document, log records.
//! The variables are in `docs/runtime.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One JSON line, written once on `ZIPSHIP_READY_FD` when the worker has said whether the handler is imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyLine {
    /// Whether the handler was imported and requests will be served.
    pub ready: bool,
    /// Invocations at once that this instance bears.
    pub max_concurrency: u32,
    /// Why it is not ready, in the interpreter's own words; `null` when ready.
    pub error: Option<String>,
}

/// The document read once, to its end, from `ZIPSHIP_CONTROL_FD`: it stands in for the process environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The platform's variables (`docs/runtime.md`) and the user's own; these win over the process environment.
    pub environment: BTreeMap<String, String>,
}

/// Where a log line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// The worker's standard output.
    Stdout,
    /// The worker's standard error.
    Stderr,
    /// The platform's own words: starts, restarts, kills.
    Platform,
}

/// One JSON line on `ZIPSHIP_LOG_FD`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Milliseconds since the Unix epoch.
    pub ts: u64,
    /// Where the line came from.
    pub stream: LogStream,
    /// The request it belongs to, where one is known.
    pub request_id: Option<String>,
    /// 0 for a whole line or its first part; 1, 2, ... for the parts of a very long one.
    pub part: u32,
    /// The text, without its newline.
    pub line: String,
}
