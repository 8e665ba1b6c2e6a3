//! Step 5: what the handler answered, or why there is no answer, becomes the HTTP response.

use bytes::Bytes;
use contract::event::X_ZIPSHIP_ERROR;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE,
    HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::{HeaderMap, Method, Response, StatusCode};

pub(crate) use super::body::Body;
use super::event::HopByHop;
use crate::worker::stream::Reader;

/// A handler's answer, taken apart by the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer<B = Bytes> {
    pub(crate) status: i64,
    /// Values are Latin-1: a character above 255 cannot be carried.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: B,
}

impl Answer {
    /// 204 without a word, for the deploy's probe.
    pub(crate) fn nothing() -> Self {
        Self { status: 204, headers: Vec::new(), body: Bytes::new() }
    }
}

impl From<Answer> for Answer<Body> {
    fn from(Answer { status, headers, body }: Answer) -> Self {
        Self { status, headers, body: Body::whole(body) }
    }
}

impl From<Answer<Reader>> for Answer<Body> {
    fn from(Answer { status, headers, body }: Answer<Reader>) -> Self {
        Self { status, headers, body: Body::Stream(body) }
    }
}

/// An answer of the shim's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// What the gateway reads in `X-Zipship-Error`.
    kind: &'static str,
    /// `errorType` in the body; differs from `kind` where the handler's own error is told.
    error_type: String,
    message: Option<String>,
    retry_after: Option<u32>,
    closing: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            error_type: kind.to_owned(),
            message: Some(message.into()),
            retry_after: None,
            closing: false,
        }
    }

    pub(crate) fn empty(status: StatusCode, kind: &'static str) -> Self {
        Self { message: None, ..Self::new(status, kind, "") }
    }

    /// 502: the handler answered what HTTP cannot carry.
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "Runtime.MalformedAnswer", reason)
    }

    /// 500: the handler threw, or could not be imported.
    pub(crate) fn thrown(kind: &'static str, error_type: &str, message: impl Into<String>) -> Self {
        let mut refusal = Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, message);
        error_type.clone_into(&mut refusal.error_type);
        refusal
    }

    /// 504, with the limit.
    pub(crate) fn timed_out(limit: std::time::Duration) -> Self {
        let message = format!("the function did not answer within {} ms", limit.as_millis());
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Runtime.TimedOut", message)
    }

    /// 502: the worker died while it held the request.
    pub(crate) fn worker_killed(how: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "Runtime.WorkerKilled", how)
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The connection cannot serve another request.
    pub(crate) fn closing(mut self) -> Self {
        self.closing = true;
        self
    }

    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// What is worth a log line: the handler's mistakes, which its author has to find.
    pub(crate) fn log_line(&self) -> Option<String> {
        let message = self.message();
        if !self.kind.starts_with("Runtime.") {
            return None;
        }
        let named = message.starts_with(&self.error_type);
        Some(if named { message.to_owned() } else { format!("{}: {message}", self.error_type) })
    }
}

/// Writes the response. HEAD, 204 and 304 carry no body.
pub(crate) fn respond(method: &Method, result: Result<Response<Body>, Refusal>) -> Response<Body> {
    let mut response = result.unwrap_or_else(|refusal| refuse(&refusal));
    let headers = response.headers_mut();
    cors(headers, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    cors(headers, ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type");
    bodiless(method, response)
}

fn cors(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

fn bodiless(method: &Method, response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let never =
        matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::RESET_CONTENT);
    if !never && method != Method::HEAD {
        return response;
    }
    let (mut head, body) = response.into_parts();
    match body {
        Body::Whole(body) if !never => {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Body::Whole(_) => {}
        Body::Stream(reader) => reader.discard(),
    }
    Response::from_parts(head, Body::whole(Bytes::new()))
}

/// The handler's answer as it would go out, or why HTTP cannot carry it.
pub(crate) fn carry(answer: Answer<Body>) -> Result<Response<Body>, Refusal> {
    let status = u16::try_from(answer.status).ok().filter(|status| (200..=599).contains(status));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or_else(|| {
        Refusal::malformed(format!("the handler's statusCode is {}; it must be 200 to 599", answer.status))
    })?;
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        headers.append(header_name(name)?, header_value(name, value)?);
    }
    drop_ours(&mut headers);
    let mut response = Response::new(answer.body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn header_name(name: &str) -> Result<HeaderName, Refusal> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Refusal::malformed(format!("the handler's header name {name:?} cannot be written")))
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Refusal> {
    let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let refusal = || {
        let why = "it has a line break, a control character, or a character outside Latin-1";
        Refusal::malformed(format!("the handler's header {name:?} cannot be written: {why}"))
    };
    HeaderValue::from_bytes(&bytes.ok_or_else(refusal)?).map_err(|_| refusal())
}

/// Hop-by-hop headers and the length are the connection's; the mark is the shim's.
fn drop_ours(headers: &mut HeaderMap) {
    let hop_by_hop = HopByHop::of(headers);
    let is_ours = |name: &HeaderName| {
        name == CONTENT_LENGTH || name.as_str() == X_ZIPSHIP_ERROR || hop_by_hop.has(name.as_str())
    };
    let ours: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

fn refuse(refusal: &Refusal) -> Response<Body> {
    let body = refusal.message.as_ref().map(|message| {
        let report = serde_json::json!({"errorMessage": message, "errorType": refusal.error_type});
        Bytes::from(report.to_string())
    });
    let mut response = Response::new(Body::whole(body.clone().unwrap_or_default()));
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(X_ZIPSHIP_ERROR, HeaderValue::from_static(refusal.kind));
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.closing {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use hyper::body::Body as _;

    use super::*;

    fn answer(status: i64, headers: &[(&str, &str)], body: &'static str) -> Answer {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Answer { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn what_http_cannot_carry_is_502() {
        for bad in [
            answer(100, &[], ""),
            answer(600, &[], ""),
            answer(-1, &[], ""),
            answer(200, &[("x", "a\r\nb: c")], ""),
            answer(200, &[("x", "a\0")], ""),
            answer(200, &[("x y", "a")], ""),
            answer(200, &[("x", "\u{20ac}")], ""),
        ] {
            let response = respond(&Method::GET, carry(bad.clone().into()));
            assert_eq!(response.status(), 502, "{bad:?}");
            assert_eq!(response.headers()[X_ZIPSHIP_ERROR], "Runtime.MalformedAnswer");
        }
    }

    #[test]
    fn connection_headers_and_marks_of_a_handler_are_dropped() {
        let given = [
            ("Connection", "X-Gone"),
            ("x-gone", "1"),
            ("Keep-Alive", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "99"),
            ("X-Zipship-Error", "Runtime.WorkerKilled"),
            ("X-Kept", "é"),
            ("Access-Control-Allow-Origin", "https://a"),
        ];
        let response = respond(&Method::GET, carry(answer(200, &given, "body").into()));
        let mut kept: Vec<_> = response.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        // Removing headers moves others: only the set is promised.
        kept.sort_unstable();
        assert_eq!(
            kept,
            [
                ("access-control-allow-headers", &b"Content-Type"[..]),
                ("access-control-allow-origin", b"https://a"),
                ("x-kept", b"\xe9"),
            ]
        );
    }

    #[test]
    fn head_204_and_304_carry_no_body() {
        let head = respond(&Method::HEAD, carry(answer(200, &[], "four").into()));
        assert_eq!(
            (head.body().size_hint().exact(), head.headers()[CONTENT_LENGTH].as_bytes()),
            (Some(0), &b"4"[..])
        );
        for status in [204, 304] {
            let response = respond(&Method::GET, carry(answer(status, &[], "four").into()));
            assert_eq!(response.body().size_hint().exact(), Some(0));
            assert!(!response.headers().contains_key(CONTENT_LENGTH));
        }
    }
}
