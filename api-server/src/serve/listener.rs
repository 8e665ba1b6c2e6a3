//! The one listener: functions' requests go to the gateway, all others to the API, archives and registry.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, body::Body};
use gateway::{Gateway, Listening};
use http_body_util::BodyExt as _;
use hyper::{Request, Response, body::Incoming};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// Accepts on `socket` from now on.
pub(super) fn listen(socket: TcpListener, router: Router, gateway: Arc<Gateway>) -> Listening {
    Listening::start(socket, gateway::Plain, move |request, peer| {
        answer(request, peer, router.clone(), Arc::clone(&gateway))
    })
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    gateway: Arc<Gateway>,
) -> Response<Body> {
    if is_function(request.uri().path()) {
        let response = gateway.forward(request, peer.ip()).await;
        return response.map(|body| Body::new(body.map_err(axum::Error::new)));
    }
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    response
}

/// `/f/<id>` and below.
fn is_function(path: &str) -> bool {
    path == "/f" || path.starts_with("/f/")
}
