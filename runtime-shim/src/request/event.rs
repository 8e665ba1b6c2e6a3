//! Step 3: a request becomes the API Gateway proxy event, version 1. The key set is the golden file's, and no other.

use std::time::SystemTime;

use bytes::Bytes;
use hyper::header::{CONNECTION, EXPECT, HOST, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};
use serde::Serialize;
use serde::ser::Serializer;

use super::clock;
use super::decode;
use super::token::Claims;

/// Values of a name, in the order in which they came; names in the order of their first value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Multi(Vec<(String, Vec<String>)>);

impl Multi {
    fn add(&mut self, name: String, value: String) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name, vec![value])),
        }
    }
}

impl Serialize for Multi {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, values)| (name, values)))
    }
}

/// The same pairs, the last value of each name alone.
struct Last<'a>(&'a Multi);

impl Serialize for Last<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.0.iter().map(|(name, values)| (name, values.last())))
    }
}

/// Everything the event says, but the body.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) request_id: String,
    method: String,
    path: String,
    raw_path: String,
    protocol: &'static str,
    headers: Multi,
    query: Multi,
    source_ip: String,
    user_agent: Option<String>,
    authorizer: Option<Claims>,
    /// Milliseconds since the Unix epoch.
    epoch_ms: u64,
}

impl Event {
    /// `head` without the token headers, `source_ip` as [`super::forwarded`] found it.
    pub(crate) fn new(
        head: &Parts,
        request_id: String,
        source_ip: String,
        authorizer: Option<Claims>,
        now: SystemTime,
    ) -> Self {
        let raw_path = match head.uri.path() {
            "" => "/",
            path => path,
        };
        Self {
            request_id,
            method: head.method.as_str().to_owned(),
            path: decode::path(raw_path),
            raw_path: raw_path.to_owned(),
            protocol: protocol(head.version),
            headers: headers(head),
            query: query(head.uri.query().unwrap_or_default()),
            source_ip,
            user_agent: head.headers.get(USER_AGENT).map(|value| decode::latin1(value.as_bytes())),
            authorizer,
            epoch_ms: clock::epoch_ms(now),
        }
    }

    /// The event as ASCII JSON with an empty body, which the worker replaces with the bytes of the frame.
    pub(crate) fn without_body(&self) -> Vec<u8> {
        self.json("", false)
    }

    /// The event as ASCII JSON with its body: text when the bytes are UTF-8, else base64.
    pub(crate) fn with_body(&self, body: &Bytes) -> Vec<u8> {
        use base64::Engine;
        match std::str::from_utf8(body) {
            Ok(text) => self.json(text, false),
            Err(_) => self.json(&base64::engine::general_purpose::STANDARD.encode(body), true),
        }
    }

    fn json(&self, body: &str, is_base64_encoded: bool) -> Vec<u8> {
        super::ascii::to_vec(&Wire::of(self, body, is_base64_encoded))
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// Headers that belong to one connection. `Expect` was dealt with by the server.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header belongs to one connection: by its name, or because `Connection` lists it.
pub(crate) fn is_hop_by_hop(name: &str, headers: &HeaderMap) -> bool {
    let listed = || {
        let lists = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        lists.flat_map(|list| list.split(',')).any(|token| token.trim().eq_ignore_ascii_case(name))
    };
    HOP_BY_HOP.contains(&name) || name == "proxy-connection" || listed()
}

fn headers(head: &Parts) -> Multi {
    let mut multi = Multi::default();
    if let (false, Some(authority)) = (head.headers.contains_key(HOST), head.uri.authority()) {
        multi.add("Host".into(), authority.as_str().to_owned());
    }
    for (name, value) in &head.headers {
        if name != EXPECT && !is_hop_by_hop(name.as_str(), &head.headers) {
            multi.add(canonical(name.as_str()), decode::latin1(value.as_bytes()));
        }
    }
    multi
}

/// `content-type` as `Content-Type`.
pub(crate) fn canonical(name: &str) -> String {
    let mut start = true;
    let letter = |c: char| {
        let out = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        start = c == '-';
        out
    };
    name.chars().map(letter).collect()
}

/// Form decoding of a query; `;` is data, a name without `=` has an empty value.
fn query(text: &str) -> Multi {
    let mut multi = Multi::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        multi.add(decode::form(name), decode::form(value));
    }
    multi
}

/// The event's keys, in the golden file's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    resource: &'static str,
    path: &'a str,
    http_method: &'a str,
    method: &'a str,
    headers: Last<'a>,
    multi_value_headers: &'a Multi,
    query_string_parameters: Last<'a>,
    multi_value_query_string_parameters: &'a Multi,
    path_parameters: (),
    stage_variables: Empty,
    body: &'a str,
    is_base64_encoded: bool,
    request_context: Context<'a>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    account_id: &'static str,
    resource_id: &'static str,
    api_id: &'static str,
    stage: &'static str,
    request_id: &'a str,
    identity: Identity<'a>,
    resource_path: &'static str,
    authorizer: Option<&'a Claims>,
    http_method: &'a str,
    path: &'a str,
    protocol: &'static str,
    request_time: String,
    request_time_epoch: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    source_ip: &'a str,
    user_agent: Option<&'a str>,
    cognito_identity_pool_id: (),
    account_id: (),
    cognito_identity_id: (),
    caller: (),
    access_key: (),
    cognito_authentication_type: (),
    cognito_authentication_provider: (),
    user_arn: (),
    user: (),
}

const RESOURCE: &str = "/{proxy+}";

impl<'a> Wire<'a> {
    fn of(event: &'a Event, body: &'a str, is_base64_encoded: bool) -> Self {
        Self {
            resource: RESOURCE,
            path: &event.path,
            http_method: &event.method,
            method: &event.method,
            headers: Last(&event.headers),
            multi_value_headers: &event.headers,
            query_string_parameters: Last(&event.query),
            multi_value_query_string_parameters: &event.query,
            path_parameters: (),
            stage_variables: Empty {},
            body,
            is_base64_encoded,
            request_context: Context::of(event),
        }
    }
}

impl<'a> Context<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            account_id: "",
            resource_id: "",
            api_id: "",
            stage: "",
            request_id: &event.request_id,
            identity: Identity {
                source_ip: &event.source_ip,
                user_agent: event.user_agent.as_deref(),
                cognito_identity_pool_id: (),
                account_id: (),
                cognito_identity_id: (),
                caller: (),
                access_key: (),
                cognito_authentication_type: (),
                cognito_authentication_provider: (),
                user_arn: (),
                user: (),
            },
            resource_path: RESOURCE,
            authorizer: event.authorizer.as_ref(),
            http_method: &event.method,
            path: &event.raw_path,
            protocol: event.protocol,
            request_time: clock::common_log(event.epoch_ms),
            request_time_epoch: event.epoch_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use contract::event::is_request_id;
    use hyper::Request;

    use serde_json::Value;

    use super::*;

    fn event(request: Request<()>) -> Event {
        let now = UNIX_EPOCH + Duration::from_millis(1_795_435_200_000);
        let head = request.into_parts().0;
        Event::new(&head, super::super::id::of(&head.headers), "127.0.0.1".into(), None, now)
    }

    fn value(request: Request<()>, body: &[u8]) -> Value {
        let json = event(request).with_body(&Bytes::copy_from_slice(body));
        assert!(json.is_ascii());
        serde_json::from_slice(&json).expect("JSON")
    }

    #[test]
    fn the_golden_event() {
        let request = Request::post("/a%20b?x=1&x=2&y=")
            .header("host", "127.0.0.1:8080")
            .header("x-tag", "1")
            .header("x-tag", "2")
            .header("content-length", "3")
            .header("x-forwarded-for", "127.0.0.1")
            .header("x-forwarded-host", "127.0.0.1:8080")
            .header("x-forwarded-proto", "http")
            .header("x-forwarded-prefix", "/f/0b5e7a52-3c5c-4b1e-9d0a-0e6f1f5b7c11")
            .header("x-request-id", "golden-1");
        let golden = include_str!("../../golden/event.json");
        let golden: Value = serde_json::from_str(golden).expect("golden file");
        assert_eq!(value(request.body(()).expect("request"), "hé".as_bytes()), golden);
    }

    #[test]
    fn bytes_survive_the_way_in() {
        let post = || Request::post("/").body(()).expect("request");
        let binary = value(post(), b"\xff\x00");
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&"/wA=".into(), &true.into()));
        let empty = value(post(), b"");
        assert_eq!((&empty["body"], &empty["isBase64Encoded"]), (&"".into(), &false.into()));
    }

    #[test]
    fn queries_decode_as_forms_and_keep_what_they_cannot() {
        let got = value(Request::get("/?a+b=c%2Bd&e;f=g&&h&i=%zz&j=%ff").body(()).expect("request"), b"");
        let expected = serde_json::json!({"a b": "c+d", "e;f": "g", "h": "", "i": "%zz", "j": "%FF"});
        assert_eq!(got["queryStringParameters"], expected);
    }

    #[test]
    fn absolute_and_empty_paths_and_connection_headers() {
        let request = Request::get("http://h:1//x/../%2F%ff")
            .header("te", "trailers")
            .header("connection", "x-private, close")
            .header("x-private", "1")
            .header("x-latin", hyper::header::HeaderValue::from_bytes(b"\xe9").expect("value"));
        let got = value(request.body(()).expect("request"), b"");
        assert_eq!(got["path"], "//x/..//%FF");
        assert_eq!(got["requestContext"]["path"], "//x/../%2F%ff");
        assert_eq!(got["headers"], serde_json::json!({"Host": "h:1", "X-Latin": "é"}));
        assert_eq!(value(Request::get("http://h").body(()).expect("request"), b"")["path"], "/");
    }

    #[test]
    fn a_request_id_that_is_not_well_formed_is_replaced() {
        let request = Request::get("/").header("x-request-id", "a b").body(()).expect("request");
        let id = event(request).request_id;
        assert!(is_request_id(&id) && id.len() == 36, "{id}");
    }
}
