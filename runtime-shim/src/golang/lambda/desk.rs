//! The Runtime API as one process sees it: an address of its own, and the invocations in its hands.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1::Builder;
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::report::Report;
use super::{LambdaApi, Said, invocation, response, said};
use crate::init::logs::Level;
use crate::serve::own::{self, Answering};
use crate::worker::StartFailure;

const RUNTIME: &str = "/2018-06-01/runtime/";
const EXTENSION: &str = "/2020-01-01/extension/";
/// Errors come with a stack in a header of up to 1 MiB.
const HEAD_SIZE: usize = 2 << 20;

pub(in crate::golang) struct Desk {
    api: Weak<LambdaApi>,
    /// What the process calls an invocation by, and its ticket.
    held: Mutex<HashMap<String, u32>>,
    polls: AtomicUsize,
    /// Most polls and invocations at once until now.
    capacity: AtomicUsize,
    started: watch::Sender<Said>,
    listening: Mutex<Option<AbortHandle>>,
}

impl Desk {
    /// Listens on a free port of loopback. The second value is its address.
    pub(super) async fn open(api: Weak<LambdaApi>) -> io::Result<(Arc<Self>, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Self {
            api,
            held: Mutex::default(),
            polls: AtomicUsize::new(0),
            capacity: AtomicUsize::new(0),
            started: said(),
            listening: Mutex::default(),
        });
        let task = tokio::spawn(accept(Arc::downgrade(&desk), listener));
        *desk.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok((desk, address))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Resolves when the process asks for its first invocation, or reports that it cannot start.
    pub(in crate::golang) async fn first_next(&self) -> Result<(), StartFailure> {
        let mut started = self.started.subscribe();
        let said = started.wait_for(Option::is_some).await;
        match said.as_deref() {
            Ok(Some(Err(report))) => Err(report.clone().start_failure()),
            _ => Ok(()),
        }
    }

    /// The process is gone: the tickets that it held.
    pub(super) fn close(&self) -> Vec<u32> {
        self.held().drain().map(|(_, ticket)| ticket).collect()
    }

    /// Only the first word counts.
    fn say(&self, what: Result<(), Report>) {
        self.started.send_if_modified(|said| {
            let is_first = said.is_none();
            said.get_or_insert(what);
            is_first
        });
    }

    async fn route(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Some(api) = self.api.upgrade() else { return status(StatusCode::SERVICE_UNAVAILABLE) };
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if let Some(step) = path.strip_prefix(EXTENSION) {
            return extension(&api, step, body).await;
        }
        let steps: Vec<&str> = path.strip_prefix(RUNTIME).unwrap_or_default().split('/').collect();
        match (&head.method, steps.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next(&api).await,
            (&Method::POST, ["invocation", id, "response"]) => match self.ticket(id) {
                Some(ticket) => {
                    response::take(&api.pending, ticket, &head, body).await;
                    self.done(id)
                }
                None => unknown(id),
            },
            (&Method::POST, ["invocation", id, "error"]) => match self.ticket(id) {
                Some(ticket) => {
                    let report = report(&head, body).await;
                    api.pending.close(ticket, Err(report.refusal()));
                    self.done(id)
                }
                None => unknown(id),
            },
            (&Method::POST, ["init", "error"]) => {
                self.say(Err(report(&head, body).await));
                status(StatusCode::ACCEPTED)
            }
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    /// Dropping the future (the process went away while it waited) takes no invocation with it.
    async fn next(&self, api: &LambdaApi) -> Response<Full<Bytes>> {
        self.say(Ok(()));
        let poll = Poll::open(self);
        let invocation = loop {
            let invocation = api.queue.take().await;
            // From here on it is this process's, whatever becomes of the connection.
            api.pending.sent(1);
            if !invocation.is_cancelled {
                break invocation;
            }
        };
        drop(poll);
        let id = self.hold(&invocation.request_id, invocation.ticket);
        invocation.response(&id, &invocation::arn(&api.launcher))
    }

    /// The request's own id, unless two requests have the same: then a made-up one.
    fn hold(&self, request_id: &str, ticket: u32) -> String {
        let mut held = self.held();
        let id = match held.contains_key(request_id) {
            true => format!("00000000-0000-4000-8000-{ticket:012x}"),
            false => request_id.to_owned(),
        };
        held.insert(id.clone(), ticket);
        id
    }

    fn ticket(&self, id: &str) -> Option<u32> {
        self.held().get(id).copied()
    }

    fn done(&self, id: &str) -> Response<Full<Bytes>> {
        self.held().remove(id);
        status(StatusCode::ACCEPTED)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(task) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

async fn accept(desk: Weak<Desk>, listener: TcpListener) {
    let mut http = Builder::new();
    http.max_buf_size(HEAD_SIZE);
    while let Ok((stream, _)) = listener.accept().await {
        let Some(desk) = desk.upgrade() else { return };
        // Answers are small and awaited: they are not to wait for more.
        drop(stream.set_nodelay(true));
        let answers = move |request| -> Answering { Box::pin(desk.clone().route(request)) };
        own::connect(&http, stream, Box::new(answers));
    }
}

/// An open poll.
struct Poll<'a>(&'a Desk);

impl<'a> Poll<'a> {
    fn open(desk: &'a Desk) -> Self {
        let polls = desk.polls.fetch_add(1, Ordering::Relaxed) + 1;
        desk.capacity.fetch_max(polls + desk.held().len(), Ordering::Relaxed);
        Self(desk)
    }
}

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        self.0.polls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a library registers for, from inside the program, so as to get SIGTERM. Events are never sent.
async fn extension(api: &LambdaApi, step: &str, body: Incoming) -> Response<Full<Bytes>> {
    match step {
        "register" => {
            // What it wants to hear of is not looked at.
            drop(body.collect().await);
            let function = &api.launcher.function;
            let about = serde_json::json!({
                "functionName": function.name, "functionVersion": function.version, "handler": function.handler,
            });
            Response::builder()
                .header("Lambda-Extension-Identifier", &*crate::request::id::new())
                .body(Full::new(Bytes::from(about.to_string())))
                .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
        }
        "event/next" => std::future::pending().await,
        _ => {
            api.logs.platform(Level::Debug, &format!("the handler asked for {EXTENSION}{step}"));
            status(StatusCode::NOT_FOUND)
        }
    }
}

async fn report(head: &Parts, body: Incoming) -> Report {
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Report::read(&head.headers, &body)
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let text: &'static [u8] = if status == StatusCode::ACCEPTED { b"{\"status\":\"OK\"}" } else { b"{}" };
    let mut response = Response::new(Full::new(Bytes::from_static(text)));
    *response.status_mut() = status;
    response
}

fn unknown(id: &str) -> Response<Full<Bytes>> {
    let text = serde_json::json!({
        "errorMessage": format!("no invocation {id:?} is with this process"), "errorType": "InvalidRequestID",
    });
    let mut response = Response::new(Full::new(Bytes::from(text.to_string())));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
