//! The one listener: functions' requests go to the gateway, all others to the API, archives and registry.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{Router, body::Body};
use contract::event::X_REQUEST_ID;
use gateway::{Gateway, Listening, Secure};
use http::{
    HeaderMap, HeaderValue, Uri, Version,
    header::{CONNECTION, HOST},
};
use http_body_util::BodyExt as _;
use hyper::{Request, Response, body::Incoming};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use super::health::Health;
use crate::{metrics::Metrics, rate::Peer};

/// What is behind the listener.
pub(super) struct Front {
    pub(super) router: Router,
    pub(super) gateway: Arc<Gateway>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Health,
}

/// Accepts on `socket` from now on.
pub(super) fn listen(socket: TcpListener, secure: impl Secure, front: Arc<Front>) -> Listening {
    Listening::start(socket, secure, move |request, peer| {
        let front = Arc::clone(&front);
        async move { front.answer(request, peer).await }
    })
}

/// The operator's own listener: `router` and nothing else.
pub(super) fn listen_apart(socket: TcpListener, router: Router) -> Listening {
    Listening::start(socket, gateway::Plain, move |request, _| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            response
        }
    })
}

impl Front {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let http1 = request.version() != Version::HTTP_2;
        let mut response = match is_function(request.uri().path()) {
            true => self.call(request, peer).await,
            false => self.route(request, peer).await,
        };
        // A caller with a kept connection goes elsewhere before this one is closed. HTTP/2 has a frame for that.
        if http1 && self.health.is_stopping() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn call(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let (counted, since) = (self.metrics.call(), Instant::now());
        let path = request.uri().path().to_owned();
        let response = self.gateway.forward(request, peer.ip()).await;
        let status = response.status();
        counted.answered(status);
        let request_id =
            response.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        match status {
            ..500 => tracing::debug!(request.id = request_id, path, status, duration_ms, "called"),
            _ => tracing::info!(request.id = request_id, path, status, duration_ms, "called"),
        }
        response.map(|body| Body::new(body.map_err(axum::Error::new)))
    }

    async fn route(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        if request.version() == Version::HTTP_2 {
            tell_host(request.uri().clone(), request.headers_mut());
        }
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }
}

/// `/f/<id>` and below.
fn is_function(path: &str) -> bool {
    path == "/f" || path.starts_with("/f/")
}

/// HTTP/2 has the host beside the path; who reads headers finds it where HTTP/1.1 has it.
fn tell_host(uri: Uri, headers: &mut HeaderMap) {
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(HOST, host);
    }
}
