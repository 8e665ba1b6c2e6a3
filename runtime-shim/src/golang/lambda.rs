//! The Lambda Runtime API, served on loopback for one process, which has one invocation at a time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};

use super::envelope;
use crate::request::answer::Refusal;
use crate::request::clock::epoch_ms;
use crate::worker::pending::{Outcome, Pending, Reply};
use crate::worker::{Call, StartFailure};

const PREFIX: &str = "/2018-06-01/runtime/";

pub(crate) struct LambdaApi {
    pub(crate) pending: Pending,
    waiting: Mutex<VecDeque<Invocation>>,
    arrived: Notify,
    started: watch::Sender<Option<Result<(), String>>>,
    tasks: Mutex<Option<tokio::task::AbortHandle>>,
}

/// An invocation that nobody has asked for yet.
struct Invocation {
    ticket: u32,
    event: Bytes,
    /// Milliseconds since the Unix epoch.
    deadline_ms: u64,
}

/// What a process says of an error.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    error_message: String,
    error_type: String,
}

impl LambdaApi {
    /// Listens on a free port of loopback. The second value is its address.
    pub(super) async fn serve() -> io::Result<(Arc<Self>, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let api = Arc::new(Self {
            pending: Pending::default(),
            waiting: Mutex::default(),
            arrived: Notify::new(),
            started: watch::Sender::new(None),
            tasks: Mutex::default(),
        });
        let weak = Arc::downgrade(&api);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Some(api) = weak.upgrade() else { return };
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.route(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // An error is the process's end.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        *api.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok((api, address))
    }

    /// Resolves when the process asks for its first invocation, or reports that it cannot start.
    pub(super) async fn first_next(&self) -> Result<(), StartFailure> {
        let mut started = self.started.subscribe();
        let said = started.wait_for(Option::is_some).await;
        match said.as_deref() {
            Ok(Some(Err(message))) => Err(StartFailure::died(message.clone())),
            _ => Ok(()),
        }
    }

    pub(crate) fn start(&self, call: &Call) -> (u32, oneshot::Receiver<Outcome>) {
        let (ticket, reply) = self.pending.open(&call.event.request_id);
        let deadline = SystemTime::now().checked_add(call.timeout).unwrap_or_else(SystemTime::now);
        let event = call.event.with_body(&call.body).into();
        let invocation = Invocation { ticket, event, deadline_ms: epoch_ms(deadline) };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(invocation);
        self.arrived.notify_one();
        (ticket, reply)
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let steps: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
        if method == Method::GET && steps == ["invocation", "next"] {
            return self.next().await;
        }
        let Ok(body) = request.into_body().collect().await.map(http_body_util::Collected::to_bytes) else {
            return status(StatusCode::BAD_REQUEST);
        };
        match (&method, steps.as_slice()) {
            (&Method::POST, ["invocation", id, "response"]) => {
                self.close(id, envelope::answer(&body).map(|answer| Some(answer.into())))
            }
            (&Method::POST, ["invocation", id, "error"]) => self.close(id, Err(thrown(&body))),
            (&Method::POST, ["init", "error"]) => {
                let message = report(&body).error_message;
                self.started.send_if_modified(|said| {
                    let first = said.is_none();
                    said.get_or_insert(Err(message));
                    first
                });
                status(StatusCode::ACCEPTED)
            }
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    /// Dropping the future (the process went away while it waited) takes no invocation with it.
    async fn next(&self) -> Response<Full<Bytes>> {
        self.started.send_if_modified(|said| {
            let first = said.is_none();
            said.get_or_insert(Ok(()));
            first
        });
        let invocation = loop {
            let arrived = self.arrived.notified();
            let taken = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match taken {
                Some(invocation) => break invocation,
                None => arrived.await,
            }
        };
        // From here on it is this process's, whatever becomes of the connection.
        self.pending.sent(1);
        let id = id_of(invocation.ticket);
        let trace = format!("Root=1-{:08x}-{:024x}", invocation.deadline_ms / 1000, invocation.ticket);
        Response::builder()
            .header(CONTENT_TYPE, "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", id)
            .header("Lambda-Runtime-Deadline-Ms", invocation.deadline_ms)
            .header("Lambda-Runtime-Invoked-Function-Arn", "")
            .header("Lambda-Runtime-Trace-Id", trace)
            .body(Full::new(invocation.event))
            .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
    }

    fn close(&self, id: &str, reply: Reply) -> Response<Full<Bytes>> {
        match ticket_of(id) {
            Some(ticket) if self.pending.close(ticket, reply) => status(StatusCode::ACCEPTED),
            // Nobody waits for it: its time was up.
            Some(_) => status(StatusCode::ACCEPTED),
            None => status(StatusCode::BAD_REQUEST),
        }
    }
}

impl Drop for LambdaApi {
    fn drop(&mut self) {
        if let Some(task) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// Some runtimes want a UUID's form.
fn id_of(ticket: u32) -> String {
    format!("00000000-0000-4000-8000-{ticket:012x}")
}

fn ticket_of(id: &str) -> Option<u32> {
    u32::from_str_radix(id.strip_prefix("00000000-0000-4000-8000-")?, 16).ok()
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let text: &'static [u8] = if status == StatusCode::ACCEPTED { b"{\"status\":\"OK\"}" } else { b"{}" };
    let mut response = Response::new(Full::new(Bytes::from_static(text)));
    *response.status_mut() = status;
    response
}

fn report(body: &[u8]) -> Report {
    serde_json::from_slice(body).unwrap_or_else(|_| Report {
        error_message: String::from_utf8_lossy(body).into_owned(),
        error_type: "Error".to_owned(),
    })
}

fn thrown(body: &[u8]) -> Refusal {
    let Report { error_message, error_type } = report(body);
    Refusal::thrown("Runtime.HandlerError", &error_type, error_message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_to_their_tickets() {
        assert_eq!(ticket_of(&id_of(77)), Some(77));
        assert_eq!(ticket_of("x"), None);
        assert_eq!(id_of(1).len(), 36);
    }
}
