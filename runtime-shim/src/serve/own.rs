//! HTTP/1.1 on the shim's own ports: the metrics page and the Lambda Runtime API. Both answer in one form, so that
//! the server is in the binary once for the two.

use std::convert::Infallible;
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer that is on its way.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;
/// What answers the requests of one connection.
pub(crate) type Answers = Box<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

/// Serves a connection to its end, in a task of its own.
pub(crate) fn connect(http: &Builder, stream: TcpStream, answers: Answers) {
    let service = service_fn(move |request| {
        let answer = answers(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    // Errors are the other end's: it went away or spoke nonsense.
    tokio::spawn(async move { drop(connection.await) });
}
