//! Step 3: a request becomes the API Gateway proxy event, version 1. The key set is the golden file's, and no other.
//!
//! It is written once, as ASCII JSON, straight from the request's head: this is most of what a request costs here.

mod headers;
mod query;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::Version;
use hyper::header::{HeaderValue, USER_AGENT};
use hyper::http::request::Parts;

pub(crate) use self::headers::HopByHop;
use super::ascii::{push_latin1, push_number, push_text};
use super::clock;
use super::decode;
use super::token::Claims;

/// What most events need, in bytes.
const USUAL: usize = 2 << 10;

/// Everything the event says, but the body.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) request_id: Arc<str>,
    pub(crate) traceparent: Option<HeaderValue>,
    /// The event without the values of `body` and `isBase64Encoded`.
    json: Vec<u8>,
    /// Where those belong.
    gap: usize,
}

impl Event {
    /// `head` without the token headers, `source_ip` as [`super::forwarded`] found it.
    pub(crate) fn new(
        head: &Parts,
        request_id: Arc<str>,
        source_ip: &str,
        authorizer: Option<&Claims>,
        now: SystemTime,
    ) -> Self {
        let mut json = Vec::with_capacity(USUAL);
        let raw_path = match head.uri.path() {
            "" => "/",
            path => path,
        };
        let method = head.method.as_str();
        json.extend(br#"{"resource":"/{proxy+}","path":"#);
        push_text(&mut json, &decode::path(raw_path));
        json.extend(br#","httpMethod":"#);
        push_text(&mut json, method);
        json.extend(br#","method":"#);
        push_text(&mut json, method);
        headers::push(&mut json, head);
        query::push(&mut json, head.uri.query().unwrap_or_default());
        json.extend(br#","pathParameters":null,"stageVariables":{},"body":"#);
        let gap = json.len();
        let context = Context { head, method, raw_path, request_id: &request_id, source_ip, authorizer, now };
        context.push(&mut json);
        Self { request_id, traceparent: super::trace::of(&head.headers), json, gap }
    }

    /// Appends the event with an empty body, which the worker replaces with the bytes of the frame.
    pub(crate) fn push_without_body(&self, out: &mut Vec<u8>) {
        let (before, after) = self.json.split_at(self.gap);
        out.extend(before);
        out.extend(br#""","isBase64Encoded":false"#);
        out.extend(after);
    }

    /// Room for [`Self::push_without_body`], and a little more.
    pub(crate) fn room(&self) -> usize {
        self.json.len() + 256
    }

    /// The event with its body: text when the bytes are UTF-8, else base64.
    pub(crate) fn with_body(&self, body: &Bytes) -> Vec<u8> {
        use base64::Engine;
        let (before, after) = self.json.split_at(self.gap);
        let mut out = Vec::with_capacity(self.room() + body.len() / 3 * 4);
        out.extend(before);
        if let Ok(text) = std::str::from_utf8(body) {
            push_text(&mut out, text);
            out.extend(br#","isBase64Encoded":false"#);
        } else {
            out.push(b'"');
            out.extend(base64::engine::general_purpose::STANDARD.encode(body).as_bytes());
            out.extend(br#"","isBase64Encoded":true"#);
        }
        out.extend(after);
        out
    }
}

/// `requestContext`, and the event's end.
struct Context<'a> {
    head: &'a Parts,
    method: &'a str,
    raw_path: &'a str,
    request_id: &'a str,
    source_ip: &'a str,
    authorizer: Option<&'a Claims>,
    now: SystemTime,
}

impl Context<'_> {
    fn push(&self, out: &mut Vec<u8>) {
        let epoch_ms = clock::epoch_ms(self.now);
        out.extend(
            br#","requestContext":{"accountId":"","resourceId":"","apiId":"","stage":"","requestId":"#,
        );
        push_text(out, self.request_id);
        out.extend(br#","identity":{"sourceIp":"#);
        push_text(out, self.source_ip);
        out.extend(br#","userAgent":"#);
        match self.head.headers.get(USER_AGENT) {
            Some(agent) => push_latin1(out, agent.as_bytes()),
            None => out.extend(b"null"),
        }
        out.extend(
            br#","cognitoIdentityPoolId":null,"accountId":null,"cognitoIdentityId":null,"caller":null,"accessKey":null"#,
        );
        out.extend(
            br#","cognitoAuthenticationType":null,"cognitoAuthenticationProvider":null,"userArn":null,"user":null}"#,
        );
        out.extend(br#","resourcePath":"/{proxy+}","authorizer":"#);
        out.extend(self.authorizer.map_or("null", Claims::json).as_bytes());
        out.extend(br#","httpMethod":"#);
        push_text(out, self.method);
        out.extend(br#","path":"#);
        push_text(out, self.raw_path);
        out.extend(br#","protocol":""#);
        out.extend(protocol(self.head.version).as_bytes());
        out.extend(br#"","requestTime":""#);
        clock::push_common_log(out, epoch_ms);
        out.extend(br#"","requestTimeEpoch":"#);
        push_number(out, epoch_ms);
        out.extend(b"}}");
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests;
