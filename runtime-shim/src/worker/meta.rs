//! The metas of the frames, and what an answer's says.

use bytes::Bytes;
use contract::instance::LogStream;
use serde::{Deserialize, Serialize};

use super::Call;
use super::pending::Reply;
use super::stream::BrokenOff;
use crate::request::answer::{Answer, Refusal};
use crate::request::push_number;

/// SPECIALISE's meta.
#[derive(Debug, Serialize)]
pub(crate) struct Specialise<'a> {
    pub(crate) directory: &'a str,
    pub(crate) handler: &'a str,
    pub(crate) environment: &'a std::collections::BTreeMap<String, String>,
    pub(crate) function: SpecialiseFunction<'a>,
    pub(crate) max_concurrency: u32,
    /// LOG frames are wanted.
    pub(crate) log_frames: bool,
}

/// What the handler's context tells.
#[derive(Debug, Serialize)]
pub(crate) struct SpecialiseFunction<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) memory_mb: u32,
}

/// SPECIALISED's meta.
#[derive(Debug, Deserialize)]
pub(crate) struct Specialised {
    pub(crate) ok: bool,
    #[serde(default)]
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) error_type: String,
}

/// ANSWER's meta.
#[derive(Deserialize)]
struct AnswerMeta {
    status: i64,
    headers: Vec<(String, String)>,
}

/// ERROR's meta.
#[derive(Deserialize)]
struct ErrorMeta {
    kind: ErrorKind,
    message: String,
    error_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ErrorKind {
    Thrown,
    Malformed,
}

/// END's meta, where there is one.
#[derive(Deserialize)]
struct EndMeta {
    message: String,
    error_type: String,
}

/// CREDIT's meta.
#[derive(Serialize)]
struct CreditMeta {
    bytes: usize,
}

/// LOG's meta.
#[derive(Deserialize)]
struct LogMeta {
    stream: LogStream,
}

/// REQUEST: `event, request_id, remaining_ms`.
pub(super) fn request(call: &Call) -> Bytes {
    let mut json = Vec::with_capacity(call.event.room());
    json.extend(br#"{"event":"#);
    call.event.push_without_body(&mut json);
    // An id has no character that JSON escapes.
    json.extend(br#","request_id":""#);
    json.extend(call.event.request_id.as_bytes());
    json.extend(br#"","remaining_ms":"#);
    push_number(&mut json, u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX));
    json.push(b'}');
    json.into()
}

/// ANSWER.
pub(super) fn answer(meta: &[u8], body: Bytes) -> Reply {
    head(meta, body).map(|answer| Some(answer.into()))
}

/// HEAD, with whatever its body becomes.
pub(super) fn head<B>(meta: &[u8], body: B) -> Result<Answer<B>, Refusal> {
    let AnswerMeta { status, headers } = serde_json::from_slice(meta).map_err(nonsense)?;
    Ok(Answer { status, headers, body })
}

/// ERROR.
pub(super) fn error(meta: &[u8]) -> Refusal {
    let error: ErrorMeta = match serde_json::from_slice(meta) {
        Ok(error) => error,
        Err(error) => return nonsense(error),
    };
    match error.kind {
        ErrorKind::Thrown => Refusal::thrown("Runtime.HandlerError", &error.error_type, error.message),
        ErrorKind::Malformed => Refusal::malformed(error.message),
    }
}

/// END: `Err` when the stream broke off.
pub(super) fn end(meta: &[u8]) -> Result<(), BrokenOff> {
    if meta.is_empty() {
        return Ok(());
    }
    Err(BrokenOff(match serde_json::from_slice(meta) {
        Ok(EndMeta { message, error_type }) => format!("{error_type}: {message}"),
        Err(error) => format!("the worker's end of it: {error}"),
    }))
}

pub(super) fn credit(bytes: usize) -> Bytes {
    crate::request::ascii_json(&CreditMeta { bytes }).into()
}

/// LOG. `None`: a stream that no worker writes to.
pub(super) fn log(meta: &[u8]) -> Option<LogStream> {
    let LogMeta { stream } = serde_json::from_slice(meta).ok()?;
    matches!(stream, LogStream::Stdout | LogStream::Stderr).then_some(stream)
}

fn nonsense(error: serde_json::Error) -> Refusal {
    Refusal::malformed(format!("the worker's answer: {error}"))
}
