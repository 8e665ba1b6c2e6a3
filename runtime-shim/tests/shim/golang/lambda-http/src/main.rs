//! A handler as a user writes it, with the `lambda_http` crate unmodified.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use lambda_http::{Body, Error, Request, RequestExt, Response, run_concurrent, run_with_streaming_response};
use tokio::sync::Barrier;

static BOTH: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));

async fn handle(request: Request) -> Result<Response<Body>, Error> {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/fail" => return Err("boom".into()),
        "/panic" => panic!("no way out"),
        "/die" => std::process::exit(3),
        "/meet" => drop(BOTH.wait().await),
        "/call" => {
            let context = request.lambda_context();
            return Ok(Response::new(format!("{} {}", context.request_id, context.env_config.function_name).into()));
        }
        _ => {}
    }
    let query = request.query_string_parameters().first("x").unwrap_or_default().to_owned();
    let answer = Response::builder().status(201).header("x-query", query).header("set-cookie", "a=1");
    let answer = answer.header("set-cookie", "b=2");
    Ok(match request.into_body() {
        Body::Text(text) => answer.header("content-type", "text/plain").body(format!("{text}{path}").into())?,
        Body::Binary(bytes) => answer.header("content-type", "application/octet-stream").body(bytes.into())?,
        _ => answer.body(path.into())?,
    })
}

/// A body in pieces.
struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

async fn stream(_: Request) -> Result<Response<Pieces>, Error> {
    let pieces = ["one ", "two ", "three"].map(|piece| Bytes::from_static(piece.as_bytes()));
    Ok(Response::builder().status(202).header("x-kept", "yes").body(Pieces(pieces.into()))?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    match std::env::var_os("STREAMS") {
        Some(_) => run_with_streaming_response(lambda_http::service_fn(stream)).await,
        None => run_concurrent(lambda_http::service_fn(handle)).await,
    }
}
