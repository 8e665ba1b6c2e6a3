//! The listener: which function a request is for, and whether its files are loaded; the gateway does the rest.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use contract::event::{X_REQUEST_ID, is_request_id};
use gateway::{BodyError, BoxBody, Gateway};
use http::uri::{Parts, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::keeper::{Keeper, Served};
use super::page;
use super::report::{Reporter, Ticket};
use super::watch::Watcher;
use crate::local::identity;

/// How long a client may take to send its request's head, as on the server; a kept connection may rest as long.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where requests go.
pub(super) struct Front {
    served: Vec<Arc<Served>>,
    /// Whether functions have a name in their path; else there is one, for every path.
    named: bool,
    gateway: Arc<Gateway>,
    watcher: Arc<Watcher>,
    reporter: Arc<Reporter>,
}

/// A function, and what its gateway address is.
struct Target<'a> {
    served: &'a Arc<Served>,
    uri: Uri,
}

impl Front {
    pub(super) fn new(served: &[Arc<Served>], named: bool, keeper: &Keeper) -> Arc<Self> {
        Arc::new(Self {
            served: served.to_vec(),
            named,
            gateway: keeper.gateway.clone(),
            watcher: keeper.watcher.clone(),
            reporter: keeper.reporter.clone(),
        })
    }

    async fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Told> {
        let id = request_id(request.headers_mut());
        let text = id.to_str().unwrap_or_default().to_owned();
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let mut ticket = self.reporter.begin(text, request.method().as_str(), &path);
        let mut response = self.serve(request, peer).await;
        response.headers_mut().insert(X_REQUEST_ID, id);
        ticket.answered(response.status().as_u16());
        response.map(|body| Told { body, ticket })
    }

    async fn serve(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<BoxBody> {
        let Some(target) = self.target(request.uri()) else {
            let names: Vec<&str> = self.served.iter().map(|served| served.id()).collect();
            return page::nothing_here(request.headers(), &names);
        };
        if let Err(why) = target.served.at(self.watcher.look()).await {
            return page::broken(request.headers(), target.served.id(), &why);
        }
        *request.uri_mut() = target.uri;
        self.gateway.forward(request, peer.ip()).await
    }

    /// `/f/<name>/...` as in production, `/<name>/...` where functions are named, else every path.
    fn target(&self, uri: &Uri) -> Option<Target<'_>> {
        let path = uri.path();
        let by_name = |below: &str| {
            let (name, rest) = below.split_at(below.find('/').unwrap_or(below.len()));
            self.served.iter().find(|served| served.id() == name).map(|served| (served, rest.to_owned()))
        };
        let named = path.strip_prefix("/f/").and_then(by_name);
        let (served, rest) = match named {
            Some(found) => found,
            None if self.named => by_name(path.strip_prefix('/')?)?,
            None => (self.served.first()?, path.to_owned()),
        };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = Parts::default();
        parts.path_and_query = format!("/f/{}{rest}{query}", served.id()).parse().ok();
        Some(Target { served, uri: Uri::from_parts(parts).ok()? })
    }
}

/// The caller's id where it has a good one, else a new one; the request carries it from here on.
fn request_id(headers: &mut HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    let only = given.next().filter(|_| given.next().is_none()).cloned();
    let good = only.filter(|id| id.to_str().is_ok_and(is_request_id));
    // A UUID is a header's value.
    let id = good.or_else(|| identity::new_id().parse().ok()).unwrap_or(HeaderValue::from_static(""));
    headers.insert(X_REQUEST_ID, id.clone());
    id
}

/// An answer's body; its end is the request's end.
struct Told {
    body: BoxBody,
    ticket: Ticket,
}

impl Body for Told {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Err(_))) = polled {
            self.ticket.broke_off();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A listener that accepts until it is stopped.
pub(super) struct Listening {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<GracefulShutdown>,
}

impl Listening {
    /// No new connections; requests that run may finish within `limit`.
    pub(super) async fn stop(self, limit: Duration) {
        let _ = self.stop.send(true);
        if let Ok(connections) = self.accepting.await {
            let _ = tokio::time::timeout(limit, connections.shutdown()).await;
        }
    }
}

/// Accepts from now on.
pub(super) fn listen(socket: std::net::TcpListener, front: Arc<Front>) -> std::io::Result<Listening> {
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let (stop, stopped) = watch::channel(false);
    Ok(Listening { stop, accepting: tokio::spawn(accept(socket, front, stopped)) })
}

async fn accept(
    socket: TcpListener,
    front: Arc<Front>,
    mut stopped: watch::Receiver<bool>,
) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
    loop {
        // Cancel-safe: an accept that is dropped has taken no connection.
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stopped.changed() => return connections,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Failing only costs time.
        let _ = stream.set_nodelay(true);
        let front = front.clone();
        let service = service_fn(move |request| {
            let front = front.clone();
            async move { Ok::<_, Infallible>(front.answer(request, peer).await) }
        });
        let connection =
            connections.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        // Errors are the caller's: it went away or spoke nonsense, and hyper has answered what can be answered.
        tokio::spawn(async move { drop(connection.await) });
    }
}
