//! Crons. `next_run`, `last_run` and `last_skipped` are extensions of ours.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A cron as answered. No key is ever absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cron {
    /// UUID v4.
    pub id: String,
    /// The function or container that is called.
    pub application_id: String,
    /// Five fields or a name such as `@daily`, as it was given; in UTC.
    pub schedule: String,
    /// The body of each call; a plain object, whichever form it was given in.
    pub args: Map<String, Value>,
    /// State.
    pub status: CronStatus,
    /// When it ticks next, RFC 3339; `null` unless `ready`.
    pub next_run: Option<String>,
    /// The last call; `null` before the first one.
    pub last_run: Option<CronRun>,
    /// The last tick that was skipped because a call still ran, RFC 3339.
    pub last_skipped: Option<String>,
}

/// State of a cron.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CronStatus {
    /// It ticks.
    #[default]
    Ready,
    /// Going, by itself or with its application.
    Deleting,
    /// It could not be made.
    Error,
    /// Locked by an operator.
    Locked,
    /// Being made.
    Creating,
    /// A change is under way.
    Pending,
}

/// One call of a cron.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CronRun {
    /// The instant of the schedule, RFC 3339.
    pub tick: String,
    /// What came of it.
    pub state: CronRunState,
    /// When the call began, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339; `null` while it runs and when that is not known.
    pub ended: Option<String>,
    /// HTTP status of the answer, if there was one.
    pub status_code: Option<u16>,
    /// The call's `X-Request-Id`.
    pub request_id: String,
    /// Why it failed, as far as the answer or the platform says so; else empty.
    pub error_message: String,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CronRunState {
    /// It was sent, or is about to be.
    Running,
    /// Answered with a status below 400.
    Succeeded,
    /// Answered with another one, or not at all.
    Failed,
    /// The server ended before it could write down what came of it; it is not sent again.
    Unknown,
}

/// Body of `POST crons`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateCron {
    /// Required; the function or container to call.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub application_id: Option<String>,
    /// Required; five fields (minute, hour, day of month, month, day of week) or a name such as `@daily`, in UTC.
    #[cfg_attr(feature = "schema", schemars(required, example = "0 9 * * mon-fri"))]
    pub schedule: Option<String>,
    /// Default: none. Plain, or the document's typed form.
    pub args: Option<Map<String, Value>>,
}

/// Body of `PATCH crons/{id}`. `null` and absent mean unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateCron {
    /// Another function or container.
    pub application_id: Option<String>,
    /// When it ticks from now on.
    pub schedule: Option<String>,
    /// Replaces all of it.
    pub args: Option<Map<String, Value>>,
}

/// A page of crons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Crons {
    /// This page.
    pub crons: Vec<Cron>,
    /// All that match, on every page.
    pub total_count: u64,
}
