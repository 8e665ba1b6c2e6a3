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
use crate::{BodyError, BoxBody, RouteState, StartFailureKind};

/// What a caller gets instead of the function's answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No such function, or none that may be called.
    NotFound,
    /// It has no live revision.
    NotServing(RouteState),
    /// It was held in vain.
    Held(Held),
    /// No answer within the function's timeout.
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
    /// The answer, with the CORS headers that the shim would have set.
    pub(crate) fn answer(self, request_id: &HeaderValue) -> Response<BoxBody> {
        let (status, kind, message, retry_after) = self.words();
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

    fn words(self) -> Words {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::NotFound
            | Self::NotServing(RouteState::NeverDeployed | RouteState::Locked)
            | Self::Held(Held::Refused(Refusal::NoRevision)) => {
                (StatusCode::NOT_FOUND, "not_found", "there is no function at this address".into(), None)
            }
            Self::NotServing(RouteState::Deploying) => {
                let message = "the function's first deploy is still running";
                (unavailable, "not_ready", message.into(), Some(SOON * 2))
            }
            Self::NotServing(RouteState::DeployFailed { message }) => {
                let message = format!("the function's deploy failed and it has no older version: {message}");
                (unavailable, "deploy_failed", message, None)
            }
            Self::Held(Held::Refused(refusal)) => refused(refusal),
            Self::Held(Held::MachineFull) => {
                let message = "the platform is full: too many requests are waiting";
                (unavailable, "machine_full", message.into(), Some(SOON))
            }
            Self::TimedOut { timeout } => {
                let message = format!("the function did not answer within its timeout of {}", ms(timeout));
                (StatusCode::GATEWAY_TIMEOUT, "timeout", message, None)
            }
            Self::Broken { exit, memory_mb } => broken(exit, memory_mb),
            Self::OutOfMemory { memory_mb } => out_of_memory(memory_mb),
            Self::Unreachable => {
                let message = "the platform could not reach an instance of the function";
                (unavailable, "unreachable", message.into(), Some(SOON))
            }
        }
    }
}

fn refused(refusal: Refusal) -> Words {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let busy = StatusCode::TOO_MANY_REQUESTS;
    match refusal {
        Refusal::NoRevision | Refusal::Closed => {
            (unavailable, "shutting_down", "the platform is shutting the function down".into(), Some(SOON))
        }
        Refusal::QueueFull { bound } => {
            let message =
                format!("the function is busy: {bound} requests are waiting for it, which is its limit");
            (busy, "too_many_requests", message, Some(SOON))
        }
        Refusal::NoSlotInTime { waited } => {
            let message =
                format!("the function is busy: it had no room for the request within {}", ms(waited));
            (busy, "too_many_requests", message, Some(SOON))
        }
        Refusal::NotStartedInTime { waited } => {
            let message = format!("no instance of the function was ready within {}", ms(waited));
            (unavailable, "not_started", message, Some(SOON))
        }
        Refusal::StartFailed { kind, retry_after } => {
            (unavailable, "start_failed", cause_class(kind).into(), Some(retry_after))
        }
        Refusal::Crashing { retry_after } => {
            let message = "the function's instances crash; the platform pauses before it starts another";
            (unavailable, "crashing", message.into(), Some(retry_after))
        }
    }
}

fn broken(exit: Option<Exit>, memory_mb: u32) -> Words {
    if exit.is_some_and(|exit| exit.out_of_memory) {
        return out_of_memory(memory_mb);
    }
    let message = "the function's instance ended before it answered";
    (StatusCode::BAD_GATEWAY, "instance_failed", message.into(), None)
}

fn out_of_memory(memory_mb: u32) -> Words {
    let message = format!("the function ran out of its memory limit of {memory_mb} MB");
    (StatusCode::INSUFFICIENT_STORAGE, "out_of_memory", message, None)
}

fn cause_class(kind: StartFailureKind) -> &'static str {
    match kind {
        StartFailureKind::Function => {
            "the function does not start: its code failed while it was loaded; its logs say more"
        }
        StartFailureKind::TimedOut => "the function does not start: it was not ready within the limit",
        StartFailureKind::OutOfMemory => "the function does not start: it runs out of its memory limit",
        StartFailureKind::MachineFull => {
            "the platform is full: it has no room for an instance of the function"
        }
        StartFailureKind::Platform => "the platform could not start an instance of the function",
        StartFailureKind::Abandoned => "the start of the function was abandoned",
    }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
