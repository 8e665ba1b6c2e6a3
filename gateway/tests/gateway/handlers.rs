//! What the fake instances answer, by path.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use gateway::{BodyError, BoxBody, Revision};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;

use crate::world::Fake;

fn full(text: impl Into<Bytes>) -> BoxBody {
    Full::new(text.into()).map_err(BodyError::from).boxed_unsync()
}

pub(crate) async fn handle(
    fake: Arc<Fake>,
    revision: Arc<Revision>,
    instance: String,
    request: Request<Incoming>,
) -> Result<Response<BoxBody>, Infallible> {
    fake.seen.lock().unwrap().asked.push(request.uri().to_string());
    let id = Response::new(full(revision.id.clone()));
    let gate = Arc::clone(&fake.gate);
    if request.headers().contains_key("x-zipship-probe") {
        return Ok(Response::builder().status(204).body(full("")).unwrap());
    }
    Ok(match request.uri().path() {
        "/hold" => {
            gate.acquire().await.unwrap().forget();
            id
        }
        "/never" => std::future::pending().await,
        "/die" => {
            fake.kill(&instance);
            std::future::pending().await
        }
        "/stream" => {
            let first = async { Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"first"))) };
            let second = async move {
                gate.acquire().await.unwrap().forget();
                Ok(Frame::data(Bytes::from_static(b"second")))
            };
            let frames = futures_util::stream::FuturesOrdered::from_iter([
                Box::pin(first) as gateway::BoxFuture<'static, _>,
                Box::pin(second),
            ]);
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
        "/upload" => {
            let body = request.into_body().collect().await;
            Response::new(full(body.map_or("broken".into(), |body| body.to_bytes().len().to_string())))
        }
        "/headers" => Response::builder()
            .header("connection", "x-mine")
            .header("x-mine", "1")
            .header("keep-alive", "timeout=5")
            .header("x-zipship-error", "Runtime.Error")
            .header("x-zipship-revision", "forged")
            .header("x-request-id", "forged")
            .header("x-kept", "1")
            .body(full(""))
            .unwrap(),
        _ => {
            let mut seen = format!("{}\n", request.uri());
            for (name, value) in request.headers() {
                seen += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            Response::new(full(seen))
        }
    })
}
