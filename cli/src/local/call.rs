//! One request to a shim, as the gateway would send it.

use std::path::Path;

use anyhow::Context as _;
use contract::event::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PREFIX, X_FORWARDED_PROTO, X_REQUEST_ID,
};
use http::header::HOST;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::event::Call;
use super::{identity, usage};

/// The host that a request names which does not say any.
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");

/// Sends it; the answer's body comes as the handler makes it. `prefix` is the function's path in production.
pub(crate) async fn send(socket: &Path, call: Call, prefix: &str) -> anyhow::Result<Response<Incoming>> {
    let request = request(call, prefix)?;
    let stream = UnixStream::connect(socket).await.context("connecting to the shim")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await.context("the shim gave no answer")
}

fn request(call: Call, prefix: &str) -> anyhow::Result<Request<Full<bytes::Bytes>>> {
    let Ok(target) = call.target.parse::<http::Uri>() else {
        return usage(format!("{:?} is no path", call.target));
    };
    let mut request = Request::new(Full::new(call.body));
    *request.method_mut() = call.method;
    *request.uri_mut() = target;
    let mut headers = call.headers;
    let host = headers.entry(HOST).or_insert(LOCALHOST).clone();
    let id = call.request_id.unwrap_or_else(identity::new_id);
    let source = call.source.unwrap_or_else(|| "127.0.0.1".to_owned());
    for (name, value) in [
        (X_FORWARDED_FOR, source.parse()?),
        (X_FORWARDED_HOST, host),
        (X_FORWARDED_PROTO, HeaderValue::from_static("http")),
        (X_FORWARDED_PREFIX, prefix.parse()?),
        (X_REQUEST_ID, id.parse()?),
    ] {
        headers.insert(HeaderName::from_static(name), value);
    }
    *request.headers_mut() = headers;
    Ok(request)
}
