//! The HTTP form: `POST /` with the event in JSON to the port on which the program listens.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::envelope;
use crate::config::Function;
use crate::request::answer::Refusal;
use crate::worker::pending::{Outcome, Pending};
use crate::worker::{Call, Ending};

/// Connections that are kept for the next request.
const KEPT: usize = 128;
/// A dying program closes its connections this much before its end is noticed, at the most.
const END_NEWS: Duration = Duration::from_millis(250);

type Sender = SendRequest<Full<Bytes>>;

pub(crate) struct HttpForm {
    upstream: SocketAddr,
    function: Function,
    pub(crate) pending: Pending,
    idle: Mutex<Vec<Sender>>,
    running: Mutex<HashMap<u32, AbortHandle>>,
}

/// What `scaleway-functions-go` reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    event: &'a RawValue,
    context: Context<'a>,
    handler_name: &'a str,
    handler_path: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    memory_limit_in_mb: u32,
    function_name: &'a str,
    function_version: &'a str,
}

impl HttpForm {
    pub(super) fn new(upstream: SocketAddr, function: Function) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            function,
            pending: Pending::default(),
            idle: Mutex::default(),
            running: Mutex::default(),
        })
    }

    pub(crate) fn start(self: &Arc<Self>, call: &Call) -> (u32, oneshot::Receiver<Outcome>) {
        let (ticket, reply) = self.pending.open(&call.event.request_id);
        self.pending.sent(1);
        let body = self.wire(call);
        let form = self.clone();
        let task = tokio::spawn(async move {
            let exchanged = form.exchange(body).await;
            if exchanged.is_err() {
                // Where the program has died, its end closes this call, and the next one finds it restarting.
                tokio::time::sleep(END_NEWS).await;
            }
            let reply = exchanged.and_then(|(status, body)| read(status, &body));
            form.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
            form.pending.close(ticket, reply.map(|answer| Some(answer.into())));
        });
        // The task cannot have run yet: this thread is the only one.
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, task.abort_handle());
        (ticket, reply)
    }

    /// Closes the connection, which is how Go's `net/http` tells a handler that its caller has gone. A
    /// goroutine that goes on holds up no other.
    pub(crate) fn cancel(&self, ticket: u32, why: Ending) {
        if why == Ending::TimedOut {
            let task = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
            if let Some(task) = task {
                task.abort();
            }
            self.pending.close(ticket, Ok(None));
        }
    }

    fn wire(&self, call: &Call) -> Bytes {
        let json = String::from_utf8(call.event.with_body(&call.body)).unwrap_or_default();
        let Ok(event) = RawValue::from_string(json) else { return Bytes::new() };
        let context = Context {
            memory_limit_in_mb: self.function.memory_mb,
            function_name: &self.function.name,
            function_version: &self.function.version,
        };
        let path = contract::environment::CODE_DIRECTORY;
        let wire = Wire { event: &event, context, handler_name: &self.function.handler, handler_path: path };
        crate::request::ascii_json(&wire).into()
    }

    async fn exchange(&self, body: Bytes) -> Result<(StatusCode, Bytes), Refusal> {
        let lost = |error: hyper::Error| {
            Refusal::worker_killed(&format!("the handler closed the connection without an answer: {error}"))
        };
        let mut sender = self.connection().await?;
        let request = Request::post("/")
            .header(HOST, self.upstream.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Refusal::malformed(format!("the event cannot be sent: {error}")))?;
        let response = sender.send_request(request).await.map_err(lost)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(sender);
        }
        Ok((status, body))
    }

    /// A kept connection that is still open, else a new one.
    async fn connection(&self) -> Result<Sender, Refusal> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = kept else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let refused = |error: String| {
            Refusal::worker_killed(&format!("the handler does not accept connections: {error}"))
        };
        let stream = TcpStream::connect(self.upstream).await.map_err(|e| refused(e.to_string()))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|e| refused(e.to_string()))?;
        // Its end shows in the sender.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<crate::request::answer::Answer, Refusal> {
    if status == StatusCode::OK {
        return envelope::answer(body);
    }
    let text = String::from_utf8_lossy(body);
    Err(Refusal::thrown("Runtime.HandlerError", "Error", text.trim()))
}
