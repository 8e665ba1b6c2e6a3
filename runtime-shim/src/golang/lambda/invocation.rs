//! One invocation as the Runtime API tells it, and the environment that a program of AWS's expects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::CONTENT_TYPE;

use crate::golang::processors;
use crate::request::clock::epoch_ms;
use crate::request::trace;
use crate::worker::{Call, Launcher};

const IGNORE_STAGE: &str = "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH";

pub(super) struct Invocation {
    pub(super) ticket: u32,
    pub(super) is_cancelled: bool,
    /// The caller's word for it.
    pub(super) request_id: Arc<str>,
    event: Bytes,
    /// Milliseconds since the Unix epoch.
    deadline_ms: u64,
    trace: Option<String>,
}

impl Invocation {
    pub(super) fn new(ticket: u32, call: &Call) -> Self {
        let deadline = SystemTime::now().checked_add(call.timeout).unwrap_or_else(SystemTime::now);
        Self {
            ticket,
            is_cancelled: false,
            request_id: call.event.request_id.clone(),
            event: call.event.with_body(&call.body).into(),
            deadline_ms: epoch_ms(deadline),
            trace: call.event.traceparent.as_ref().and_then(trace::xray),
        }
    }

    /// The answer to a poll. `id` is what the process will call it by.
    pub(super) fn response(self, id: &str, arn: &str) -> Response<Full<Bytes>> {
        let trace = self.trace.unwrap_or_else(|| {
            format!("Root=1-{:08x}-{:024x};Sampled=0", self.deadline_ms / 1000, self.ticket)
        });
        let response = Response::builder()
            .header(CONTENT_TYPE, "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", id)
            .header("Lambda-Runtime-Deadline-Ms", self.deadline_ms)
            .header("Lambda-Runtime-Invoked-Function-Arn", arn)
            .header("Lambda-Runtime-Trace-Id", trace);
        // The ids are plain, and the name of a function is one of the API's names.
        response.body(Full::new(self.event)).unwrap_or_else(|_| Response::new(Full::default()))
    }
}

/// A function's name in the form that AWS's libraries read.
pub(super) fn arn(launcher: &Launcher) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = launcher.function.name.chars().filter(|c| plain(*c)).collect();
    format!("arn:aws:lambda:local:000000000000:function:{name}")
}

pub(super) fn environment(launcher: &Launcher, api: SocketAddr, most: usize) -> Vec<(&'static str, String)> {
    let function = &launcher.function;
    let mut all = vec![
        ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", function.version.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("_HANDLER", function.handler.clone()),
        ("LAMBDA_TASK_ROOT", launcher.code_directory.to_string_lossy().into_owned()),
        ("SCW_UPSTREAM_PORT", launcher.upstream_port.to_string()),
    ];
    // Rust's library puts the event's stage before the path, and ours is empty.
    if !launcher.environment.contains_key(IGNORE_STAGE) {
        all.push((IGNORE_STAGE, "true".to_owned()));
    }
    if most > 1 {
        all.push(("AWS_LAMBDA_MAX_CONCURRENCY", most.to_string()));
    }
    all.extend(processors::variable(&launcher.environment));
    all
}
