//! Step 1: what is refused before anything else is looked at, and the body, counted while it is read.

use std::error::Error;
use std::io;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode, Version};

use super::answer::Refusal;
use crate::config::Limits;
use crate::serve::Violation;

/// The bytes a header costs beside its name and value: `: ` and CRLF.
const HEADER_OVERHEAD: usize = 4;

/// Refuses methods, protocols and header blocks that no handler is to see.
pub(crate) fn head(limits: Limits, head: &Parts) -> Result<(), Refusal> {
    if head.method == Method::CONNECT {
        // What follows may be meant for the other end of the tunnel: it is not read as requests.
        let message = "CONNECT is not served";
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Request.Method", message).closing());
    }
    if head.headers.contains_key(UPGRADE) && wants_websocket(&head.headers) {
        let message = "WebSocket and other upgrades are not served";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "Request.Upgrade", message));
    }
    let framed_twice =
        head.headers.contains_key(CONTENT_LENGTH) && head.headers.contains_key(TRANSFER_ENCODING);
    if framed_twice || head.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        let message = "the length of the body is told in more than one way";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "Request.Framing", message).closing());
    }
    let bytes: usize =
        head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum();
    if bytes > limits.headers {
        let message = format!("the headers are {bytes} bytes, the limit is {}", limits.headers);
        return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request.Headers", message));
    }
    Ok(())
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Reads the whole body, at most `limit` bytes, whatever its framing.
pub(crate) async fn read(mut body: Incoming, version: Version, limit: usize) -> Result<Bytes, Refusal> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(too_large(limit, version));
    }
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len) + whole.len();
        if so_far + data.len() > limit {
            return Err(too_large(limit, version));
        }
        match (&first, whole.is_empty()) {
            // Most bodies come in one piece and are never copied.
            (None, true) => first = Some(data),
            _ => {
                if let Some(first) = first.take() {
                    whole.reserve(usize::try_from(announced).unwrap_or(0).max(first.len() + data.len()));
                    whole.extend_from_slice(&first);
                }
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// What breaks the rules of HTTP/1 while it is read.
pub(crate) fn broken(violation: Violation) -> Refusal {
    let (status, kind) = match violation {
        Violation::LongHead | Violation::LongName | Violation::ManyHeaders => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request.Headers")
        }
        Violation::LongTarget => (StatusCode::URI_TOO_LONG, "Request.Target"),
        Violation::Target => (StatusCode::BAD_REQUEST, "Request.Target"),
        _ => (StatusCode::BAD_REQUEST, "Request.Framing"),
    };
    Refusal::new(status, kind, violation.to_string()).closing()
}

/// Why the rest of a body does not come, as the connection tells it.
fn broken_off(error: &hyper::Error) -> Refusal {
    let io = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let inner = io.and_then(io::Error::get_ref);
    if let Some(violation) = inner.and_then(|inner| inner.downcast_ref::<Violation>()) {
        return broken(*violation);
    }
    if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
        let message = "the rest of the body did not come in time";
        return Refusal::new(StatusCode::REQUEST_TIMEOUT, "Request.Body", message).closing();
    }
    Refusal::new(StatusCode::BAD_REQUEST, "Request.Body", format!("the body broke off: {error}")).closing()
}

/// The rest of an HTTP/1.1 body stays unread, so the connection cannot be used again.
fn too_large(limit: usize, version: Version) -> Refusal {
    let message = format!("the body is larger than the limit of {limit} bytes");
    let refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "Request.Body", message);
    if version < Version::HTTP_2 { refusal.closing() } else { refusal }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::Request;

    use super::*;

    const LIMITS: Limits = Limits { headers: 100, payload: 10, timeout: Duration::from_secs(1) };

    fn status(request: Request<()>) -> Option<u16> {
        head(LIMITS, &request.into_parts().0).err().map(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn heads_that_no_handler_sees() {
        let get =
            |name: &str, value: String| Request::get("/").header(name, value).body(()).expect("request");
        assert_eq!(status(Request::get("/").body(()).expect("request")), None);
        assert_eq!(status(Request::builder().method("CONNECT").uri("a:1").body(()).expect("r")), Some(405));
        assert_eq!(status(get("upgrade", "WebSocket".into())), Some(501));
        assert_eq!(status(get("upgrade", "h2c".into())), None);
        assert_eq!(status(get("x", "y".repeat(95))), None);
        assert_eq!(status(get("x", "y".repeat(96))), Some(431));
        let smuggled =
            Request::post("/").header("content-length", "3").header("transfer-encoding", "chunked");
        assert_eq!(status(smuggled.body(()).expect("request")), Some(400));
    }
}
