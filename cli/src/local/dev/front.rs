//! The listener: which function a request is for, and whether its files are loaded; the gateway does the rest.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use contract::event::{X_REQUEST_ID, is_request_id};
use gateway::{BodyError, BoxBody, Gateway, Listening};
use http::uri::{Parts, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::keeper::{Keeper, Served};
use super::page;
use super::report::{Reporter, Ticket};
use super::watch::Watcher;
use crate::local::identity;

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

/// Accepts from now on.
pub(super) fn listen(socket: std::net::TcpListener, front: Arc<Front>) -> std::io::Result<Listening> {
    socket.set_nonblocking(true)?;
    Ok(Listening::start(TcpListener::from_std(socket)?, gateway::Plain, move |request, peer| {
        let front = front.clone();
        async move { front.answer(request, peer).await }
    }))
}
