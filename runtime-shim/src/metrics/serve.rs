//! The metrics port: `GET /metrics` and `GET /healthz`, and nothing else. No request here reaches user code.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1::Builder;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;

use super::page;
use crate::request::Shim;
use crate::serve::{bind_all, own};

/// How long a reader may take to ask.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After an error of `accept` that the next attempt would meet too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The port, bound.
pub(crate) struct Port(TcpListener);

impl Port {
    /// Binds a port of all interfaces.
    ///
    /// Fails when it is taken.
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        TcpListener::from_std(bind_all(port)?).map(Self)
    }
}

/// Serves for as long as the process lives.
pub(crate) async fn serve(port: Port, shim: Arc<Shim>) {
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    loop {
        match port.0.accept().await {
            Ok((stream, _)) => own::connect(&http, stream, answers(shim.clone())),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn answers(shim: Arc<Shim>) -> own::Answers {
    Box::new(move |request| Box::pin(std::future::ready(respond(&shim, &request))))
}

fn respond(shim: &Shim, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" if is_read => text("text/plain; version=0.0.4; charset=utf-8", page::write(shim)),
        "/healthz" if is_read => text("text/plain; charset=utf-8", "alive\n".into()),
        _ => {
            let mut response = text("text/plain; charset=utf-8", "GET /metrics or /healthz\n".into());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

fn text(kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
