//! The one listener: functions' requests go to the gateway, all others to the API, archives and registry.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use gateway::Gateway;
use http_body_util::BodyExt as _;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower::ServiceExt as _;

/// How long a client may take to send its request's head; a kept connection may rest as long.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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

/// Accepts on `socket` from now on.
pub(super) fn listen(socket: TcpListener, router: Router, gateway: Arc<Gateway>) -> Listening {
    let (stop, stopped) = watch::channel(false);
    let accepting = tokio::spawn(accept(socket, router, gateway, stopped));
    Listening { stop, accepting }
}

async fn accept(
    socket: TcpListener,
    router: Router,
    gateway: Arc<Gateway>,
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
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (router, gateway) = (router.clone(), Arc::clone(&gateway));
        let service = service_fn(move |request| answer(request, peer, router.clone(), Arc::clone(&gateway)));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    gateway: Arc<Gateway>,
) -> Result<Response<Body>, Infallible> {
    if is_function(request.uri().path()) {
        return Ok(gateway
            .forward(request, peer.ip())
            .await
            .map(|body| Body::new(body.map_err(axum::Error::new))));
    }
    router.oneshot(request.map(Body::new)).await
}

/// `/f/<id>` and below.
fn is_function(path: &str) -> bool {
    path == "/f" || path.starts_with("/f/")
}
