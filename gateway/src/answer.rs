//! The gateway's own answers: `{type, message, request_id}`, each saying whose fault it is.

use std::time::Duration;

use bytes::Bytes;
use contract::event::X_REQUEST_ID;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use crate::core::Refusal;
use crate::hold::Held;
use crate::instance::Exit;
use crate::{BodyError, BoxBody, Program, RouteState, StartFailureKind};

/// What a caller gets instead of the answer of a function or container.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nothing there, or nothing that may be called.
    NotFound,
    /// It has no live revision.
    NotServing(RouteState),
    /// It was held in vain.
    Held(Held),
    /// No answer within its timeout.
    TimedOut { timeout: Duration },
    /// The instance ended without an answer.
    Broken { exit: Option<Exit>, memory_mb: u32 },
    /// The instance lives, but what served the request was killed for want of memory.
    OutOfMemory { memory_mb: u32 },
    /// Instances took no connection, however often one was asked for.
    Unreachable,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'a str,
    message: &'a str,
    request_id: &'a str,
}

/// Status, type, message, and when to come again.
type Words = (StatusCode, &'static str, String, Option<Duration>);

/// When nothing better is known.
const SOON: Duration = Duration::from_secs(1);

impl Trouble {
    /// The answer, with the CORS headers that the shim would have set. `what` was called, as far as that is known.
    pub(crate) fn answer(self, what: Option<Program>, request_id: &HeaderValue) -> Response<BoxBody> {
        let (status, kind, message, retry_after) = self.words(noun(what));
        let request_id_text = request_id.to_str().unwrap_or_default();
        let document = Document { r#type: kind, message: &message, request_id: request_id_text };
        // Strings always serialise; were it otherwise, the status still says what happened.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let body = Full::new(Bytes::from(body)).map_err(BodyError::from).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
        headers.insert(X_REQUEST_ID, request_id.clone());
        if let Some(after) = retry_after {
            let seconds = after.as_millis().div_ceil(1000).max(1);
            headers.insert(RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
        }
        response
    }

    fn words(self, what: &str) -> Words {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::NotFound
            | Self::NotServing(RouteState::NeverDeployed | RouteState::Locked)
            | Self::Held(Held::Refused(Refusal::NoRevision)) => {
                let message = "there is no function or container at this address";
                (StatusCode::NOT_FOUND, "not_found", message.into(), None)
            }
            Self::NotServing(RouteState::Deploying) => {
                let message = format!("the {what}'s first deploy is still running");
                (unavailable, "not_ready", message, Some(SOON * 2))
            }
            Self::NotServing(RouteState::DeployFailed { message }) => {
                let message = format!("the {what}'s deploy failed and it has no older version: {message}");
                (unavailable, "deploy_failed", message, None)
            }
            Self::Held(Held::Refused(refusal)) => refused(refusal, what),
            Self::Held(Held::MachineFull) => {
                let message = "the platform is full: too many requests are waiting";
                (unavailable, "machine_full", message.into(), Some(SOON))
            }
            Self::TimedOut { timeout } => {
                let message = format!("the {what} did not answer within its timeout of {}", ms(timeout));
                (StatusCode::GATEWAY_TIMEOUT, "timeout", message, None)
            }
            Self::Broken { exit: Some(Exit { out_of_memory: true, .. }), memory_mb }
            | Self::OutOfMemory { memory_mb } => {
                let message = format!("the {what} ran out of its memory limit of {memory_mb} MB");
                (StatusCode::INSUFFICIENT_STORAGE, "out_of_memory", message, None)
            }
            Self::Broken { .. } => {
                let message = format!("the {what}'s instance ended before it answered");
                (StatusCode::BAD_GATEWAY, "instance_failed", message, None)
            }
            Self::Unreachable => {
                let message = format!("the platform could not reach an instance of the {what}");
                (unavailable, "unreachable", message, Some(SOON))
            }
        }
    }
}

/// What a caller is told that it called.
fn noun(what: Option<Program>) -> &'static str {
    match what {
        Some(Program::Function) => "function",
        Some(Program::Container) => "container",
        None => "application",
    }
}

fn refused(refusal: Refusal, what: &str) -> Words {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let busy = StatusCode::TOO_MANY_REQUESTS;
    match refusal {
        Refusal::NoRevision | Refusal::Closed => {
            let message = format!("the platform is shutting the {what} down");
            (unavailable, "shutting_down", message, Some(SOON))
        }
        Refusal::QueueFull { bound } => {
            let message =
                format!("the {what} is busy: {bound} requests are waiting for it, which is its limit");
            (busy, "too_many_requests", message, Some(SOON))
        }
        Refusal::NoSlotInTime { waited } => {
            let message = format!("the {what} is busy: it had no room for the request within {}", ms(waited));
            (busy, "too_many_requests", message, Some(SOON))
        }
        Refusal::NotStartedInTime { waited } => {
            let message = format!("no instance of the {what} was ready within {}", ms(waited));
            (unavailable, "not_started", message, Some(SOON))
        }
        Refusal::StartFailed { kind, retry_after } => {
            (unavailable, "start_failed", cause_class(kind, what), Some(retry_after))
        }
        Refusal::Crashing { retry_after } => {
            let message =
                format!("the {what}'s instances crash; the platform pauses before it starts another");
            (unavailable, "crashing", message, Some(retry_after))
        }
    }
}

fn cause_class(kind: StartFailureKind, what: &str) -> String {
    match kind {
        StartFailureKind::Function => {
            format!("the {what} does not start: it failed before it was ready; its logs say more")
        }
        StartFailureKind::TimedOut => {
            format!("the {what} does not start: it was not ready within the limit")
        }
        StartFailureKind::OutOfMemory => {
            format!("the {what} does not start: it runs out of its memory limit")
        }
        StartFailureKind::MachineFull => {
            format!("the platform is full: it has no room for an instance of the {what}")
        }
        StartFailureKind::Platform => format!("the platform could not start an instance of the {what}"),
        StartFailureKind::Abandoned => format!("the start of the {what} was abandoned"),
    }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
