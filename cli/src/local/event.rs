//! From an event file to the request that it describes: an API Gateway proxy event of version 1 or 2 becomes its
//! request; any other JSON becomes the body of a POST, as a cron's arguments do.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use contract::event::is_request_id;
use http::header::{CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

/// What stays as it is in a query's names and values.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What stays as it is in a path.
const PATH: &AsciiSet = &QUERY
    .remove(b'/')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');
/// Base64 as handlers' answers may have it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Headers that the way of the request makes anew.
const MADE_ANEW: [&str; 10] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-prefix",
];

/// A request to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, as on the wire.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// `requestContext.requestId` of the event.
    pub(crate) request_id: Option<String>,
    /// `requestContext.identity.sourceIp` of the event.
    pub(crate) source: Option<String>,
}

impl Call {
    pub(crate) fn new(method: Method, target: String) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method, target, headers, body, request_id: None, source: None }
    }
}

/// Reads an event. The second value says so when it is no API Gateway event; the error names the key that is wrong.
pub(crate) fn call(text: &[u8]) -> Result<(Call, Option<&'static str>), String> {
    let event: Value =
        serde_json::from_slice(text).map_err(|error| format!("the event is no JSON: {error}"))?;
    if let Value::Object(event) = &event {
        if event.contains_key("httpMethod") || event.contains_key("method") && event.contains_key("path") {
            return Ok((version_1(event)?, None));
        }
        if event.get("version").and_then(Value::as_str) == Some("2.0") && event.contains_key("rawPath") {
            return Ok((version_2(event)?, None));
        }
    }
    let mut call = Call::new(Method::POST, "/".to_owned());
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call.body = text.to_vec().into();
    Ok((call, Some("not an API Gateway event (no httpMethod): it is sent as the JSON body of POST /")))
}

fn version_1(event: &Map<String, Value>) -> Result<Call, String> {
    let context = event.get("requestContext").unwrap_or(&Value::Null);
    let method = event.get("httpMethod").or(event.get("method"));
    let path = text(event.get("path"), "path")?.unwrap_or_else(|| "/".to_owned());
    let mut target = raw_path(&path, context["path"].as_str());
    let query = pairs(event, "multiValueQueryStringParameters", "queryStringParameters")?;
    add_query(&mut target, &query);
    let mut call = Call::new(method_of(method)?, target);
    for (name, value) in pairs(event, "multiValueHeaders", "headers")? {
        add_header(&mut call.headers, &name, &value)?;
    }
    finish(call, event, context["requestId"].as_str(), context["identity"]["sourceIp"].as_str())
}

fn version_2(event: &Map<String, Value>) -> Result<Call, String> {
    let http = &event.get("requestContext").unwrap_or(&Value::Null)["http"];
    let mut target = text(event.get("rawPath"), "rawPath")?.unwrap_or_else(|| "/".to_owned());
    if let Some(query) = text(event.get("rawQueryString"), "rawQueryString")?.filter(|q| !q.is_empty()) {
        target = format!("{target}?{query}");
    }
    let mut call = Call::new(method_of(http.get("method"))?, target);
    for (name, value) in pairs(event, "", "headers")? {
        add_header(&mut call.headers, &name, &value)?;
    }
    let cookies = event.get("cookies").and_then(Value::as_array).into_iter().flatten();
    let cookies: Vec<&str> = cookies.filter_map(Value::as_str).collect();
    if !cookies.is_empty() {
        call.headers.remove(COOKIE);
        add_header(&mut call.headers, "cookie", &cookies.join("; "))?;
    }
    let id = event.get("requestContext").and_then(|context| context["requestId"].as_str());
    finish(call, event, id, http["sourceIp"].as_str())
}

fn finish(
    mut call: Call,
    event: &Map<String, Value>,
    id: Option<&str>,
    source: Option<&str>,
) -> Result<Call, String> {
    let body = text(event.get("body"), "body")?.unwrap_or_default();
    let is_encoded = event.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or(false);
    call.body = match is_encoded {
        true => BASE64.decode(body).map_err(|error| format!("body is no base64: {error}"))?.into(),
        false => body.into(),
    };
    call.request_id = id.filter(|id| is_request_id(id)).map(str::to_owned);
    call.source = source.filter(|source| source.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned);
    Ok(call)
}

fn method_of(value: Option<&Value>) -> Result<Method, String> {
    let text = value.and_then(Value::as_str).ok_or("httpMethod is no text")?;
    Method::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is no HTTP method"))
}

fn text(value: Option<&Value>, key: &str) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{key} is no text")),
    }
}

/// The path as it was on the wire: the event has it too, and it is believed when it means the same.
fn raw_path(path: &str, raw: Option<&str>) -> String {
    let same = |raw: &&str| {
        raw.starts_with('/') && *percent_decode_str(raw).decode_utf8_lossy() == *path && raw.is_ascii()
    };
    let encoded = || {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        utf8_percent_encode(&path, PATH).to_string()
    };
    raw.filter(same).map_or_else(encoded, str::to_owned)
}

/// The pairs of two keys: names of the first (lists of values) win over those of the second (one value each).
fn pairs(event: &Map<String, Value>, many: &str, one: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let object = |key: &str| match event.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(format!("{key} is no object")),
    };
    let many_values = object(many)?;
    for (name, values) in many_values.into_iter().flatten() {
        let values = values.as_array().ok_or_else(|| format!("{many}.{name} is no array"))?;
        for value in values {
            pairs.push((name.clone(), scalar(value, many, name)?));
        }
    }
    for (name, value) in object(one)?.into_iter().flatten() {
        let known = many_values.is_some_and(|many| many.keys().any(|key| key.eq_ignore_ascii_case(name)));
        if !known && !value.is_null() {
            pairs.push((name.clone(), scalar(value, one, name)?));
        }
    }
    Ok(pairs)
}

fn scalar(value: &Value, key: &str, name: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(format!("{key}.{name} is no text")),
    }
}

fn add_query(target: &mut String, pairs: &[(String, String)]) {
    for (at, (name, value)) in pairs.iter().enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        target.extend([utf8_percent_encode(name, QUERY).to_string(), "=".to_owned()]);
        target.extend(utf8_percent_encode(value, QUERY));
    }
}

/// Adds a header; its value is Latin-1, as events have it.
pub(crate) fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    if MADE_ANEW.contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let value = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
    let name_ = HeaderName::from_bytes(name.as_bytes());
    match (name_, value) {
        (Ok(name), Some(value)) => drop(headers.append(name, value)),
        _ => return Err(format!("the header {name:?} can't be sent")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: &Value) -> Result<Call, String> {
        call(event.to_string().as_bytes()).map(|(call, _)| call)
    }

    #[test]
    fn an_event_of_version_1_becomes_its_request() {
        let call = read(&json!({
            "httpMethod": "PUT", "path": "/a b/é", "isBase64Encoded": true, "body": "AP8=",
            "headers": {"X-Tag": "2", "X-One": "1", "Content-Length": "99", "Host": "example.org"},
            "multiValueHeaders": {"X-Tag": ["1", "2"]},
            "queryStringParameters": {"x": "2", "y": "a&b c"},
            "multiValueQueryStringParameters": {"x": ["1", "2"]},
            "requestContext": {"requestId": "id-1", "identity": {"sourceIp": "10.1.2.3"}},
        }))
        .unwrap();
        assert_eq!(
            (call.method.as_str(), call.target.as_str()),
            ("PUT", "/a%20b/%C3%A9?x=1&x=2&y=a%26b%20c")
        );
        let tags: Vec<_> = call.headers.get_all("x-tag").iter().collect();
        assert_eq!(tags, ["1", "2"]);
        assert_eq!(
            (&call.headers["x-one"], &call.headers["host"]),
            (&"1".parse().unwrap(), &"example.org".parse().unwrap())
        );
        assert!(!call.headers.contains_key("content-length"));
        assert_eq!(call.body.as_ref(), [0, 255]);
        assert_eq!((call.request_id.as_deref(), call.source.as_deref()), (Some("id-1"), Some("10.1.2.3")));
    }

    #[test]
    fn the_raw_path_is_believed_when_it_means_the_same() {
        let of = |raw: &str| {
            let context = json!({"path": raw});
            read(&json!({"httpMethod": "GET", "path": "/a/b", "requestContext": context})).unwrap().target
        };
        assert_eq!(of("/a%2Fb"), "/a%2Fb");
        assert_eq!(of("/stage/a/b"), "/a/b");
        let bare = read(&json!({"httpMethod": "GET", "path": null, "body": null})).unwrap();
        assert_eq!((bare.target.as_str(), bare.body.len()), ("/", 0));
    }

    #[test]
    fn an_event_of_version_2_becomes_its_request() {
        let call = read(&json!({
            "version": "2.0", "rawPath": "/a%20b", "rawQueryString": "x=1&x=2", "cookies": ["a=1", "b=2"],
            "headers": {"x-tag": "1,2"}, "body": "{}",
            "requestContext": {"http": {"method": "POST", "sourceIp": "not an address"}, "requestId": "a b"},
        }))
        .unwrap();
        assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", "/a%20b?x=1&x=2"));
        assert_eq!(call.headers["cookie"], "a=1; b=2");
        assert_eq!((call.request_id, call.source), (None, None));
    }

    #[test]
    fn other_json_is_the_body_of_a_post() {
        let (sent, told) = call(br#"{"job": "clean"}"#).unwrap();
        assert_eq!((sent.method, sent.target.as_str()), (Method::POST, "/"));
        assert_eq!(sent.body.as_ref(), br#"{"job": "clean"}"#);
        assert_eq!(sent.headers[CONTENT_TYPE], "application/json");
        assert!(told.is_some());
    }

    #[test]
    fn what_no_request_can_be_is_refused_by_name() {
        for (event, said) in [
            (json!({"httpMethod": "GET", "path": 1}), "path"),
            (json!({"httpMethod": "G T"}), "method"),
            (json!({"httpMethod": "GET", "headers": ["x"]}), "headers"),
            (json!({"httpMethod": "GET", "headers": {"x": "a\nb"}}), "\"x\""),
            (json!({"httpMethod": "GET", "headers": {"x": "€"}}), "\"x\""),
            (json!({"httpMethod": "GET", "multiValueHeaders": {"x": "1"}}), "multiValueHeaders.x"),
            (json!({"httpMethod": "GET", "body": "%", "isBase64Encoded": true}), "base64"),
        ] {
            let problem = read(&event).unwrap_err();
            assert!(problem.contains(said), "{event}: {problem}");
        }
        assert!(call(b"{").unwrap_err().contains("no JSON"));
    }
}
