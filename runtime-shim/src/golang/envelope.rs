//! What a Go handler answers, as JSON: an envelope or a plain value, by the same rules as in node and python.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::request::answer::{Answer, Refusal};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

type Headers = Vec<(String, String)>;

/// Takes the answer apart.
pub(crate) fn answer(bytes: &[u8]) -> Result<Answer, Refusal> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Answer { status: 200, headers: Vec::new(), body: Bytes::new() });
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::malformed(format!("the handler's answer is not JSON: {error}")))?;
    match value {
        Value::Object(fields) if fields.contains_key("statusCode") || fields.contains_key("body") => {
            envelope(&fields)
        }
        plain => {
            let (body, default) = body(&plain);
            let headers =
                default.map(|kind| ("Content-Type".to_owned(), kind.to_owned())).into_iter().collect();
            Ok(Answer { status: 200, headers, body })
        }
    }
}

fn envelope(fields: &Map<String, Value>) -> Result<Answer, Refusal> {
    let mut headers = headers(fields)?;
    let given = fields.get("body").unwrap_or(&Value::Null);
    let is_encoded = fields.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or(false);
    let (body, default) = match given {
        Value::String(text) if is_encoded => (decode(text)?, Some(BINARY)),
        other => body(other),
    };
    let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some(default) = default.filter(|_| !has_type && !body.is_empty()) {
        headers.push(("Content-Type".into(), default.into()));
    }
    Ok(Answer { status: status(fields.get("statusCode"))?, headers, body })
}

/// The bytes of a value, and the type that goes with them.
fn body(value: &Value) -> (Bytes, Option<&'static str>) {
    match value {
        Value::Null => (Bytes::new(), None),
        Value::String(text) => (Bytes::from(text.clone()), Some(TEXT)),
        other => (Bytes::from(other.to_string()), Some(JSON)),
    }
}

fn status(value: Option<&Value>) -> Result<i64, Refusal> {
    let refusal = |value: &Value| {
        Refusal::malformed(format!("the handler's statusCode is {value}; it must be 200 to 599"))
    };
    match value {
        None | Some(Value::Null) => Ok(200),
        Some(value) => match value {
            Value::Number(number) => number.as_i64().map(|n| if n == 0 { 200 } else { n }),
            Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| refusal(value)),
    }
}

fn headers(fields: &Map<String, Value>) -> Result<Headers, Refusal> {
    let mut multi = Headers::new();
    collect(fields.get("multiValueHeaders"), "multiValueHeaders", &mut multi)?;
    let mut single = Headers::new();
    collect(fields.get("headers"), "headers", &mut single)?;
    single.retain(|(name, _)| !multi.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    single.extend(multi);
    if let Some(Value::Array(cookies)) = fields.get("cookies") {
        for cookie in cookies {
            single.extend(text("Set-Cookie", cookie)?.map(|cookie| ("Set-Cookie".to_owned(), cookie)));
        }
    }
    Ok(single)
}

fn collect(value: Option<&Value>, what: &str, out: &mut Headers) -> Result<(), Refusal> {
    let fields = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(Refusal::malformed(format!("the handler's {what} is no object"))),
    };
    for (name, value) in fields {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            out.extend(text(name, value)?.map(|value| (name.clone(), value)));
        }
    }
    Ok(())
}

fn text(name: &str, value: &Value) -> Result<Option<String>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => {
            Err(Refusal::malformed(format!("the handler's header {name:?} is an object")))
        }
    }
}

fn decode(text: &str) -> Result<Bytes, Refusal> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let compact: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    GeneralPurpose::new(&STANDARD, lenient)
        .decode(compact)
        .map(Bytes::from)
        .map_err(|error| Refusal::malformed(format!("the handler's body is not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_and_plain_values() {
        for (json, status, kind, body) in [
            (r#"{"statusCode":201,"body":"x"}"#, 201, Some(TEXT), "x"),
            (r#"{"statusCode":"404"}"#, 404, None, ""),
            (r#"{"statusCode":0,"body":{"a":1}}"#, 200, Some(JSON), r#"{"a":1}"#),
            (r#"{"body":"aGk","isBase64Encoded":true}"#, 200, Some(BINARY), "hi"),
            (r#"{"a":1}"#, 200, Some(JSON), r#"{"a":1}"#),
            (r#""text""#, 200, Some(TEXT), "text"),
            ("null", 200, None, ""),
            ("", 200, None, ""),
        ] {
            let got = answer(json.as_bytes()).expect(json);
            let found = got.headers.first().map(|(_, value)| value.as_str());
            assert_eq!((got.status, found, &got.body[..]), (status, kind, body.as_bytes()), "{json}");
        }
    }

    #[test]
    fn several_values_win_over_single_ones() {
        let json = r#"{"statusCode":200,"headers":{"a":"1","B":2,"c":null},"multiValueHeaders":{"A":["x","y"]},"cookies":["k=v"]}"#;
        let got = answer(json.as_bytes()).expect("answer").headers;
        let pairs: Vec<_> = got.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("B", "2"), ("A", "x"), ("A", "y"), ("Set-Cookie", "k=v")]);
    }

    #[test]
    fn what_http_cannot_carry() {
        for bad in [
            r#"{"statusCode":20.5}"#,
            r#"{"statusCode":true}"#,
            r#"{"body":"a","headers":{"x":{}}}"#,
            r#"{"body":"a","headers":3}"#,
            r#"{"body":"!","isBase64Encoded":true}"#,
            "not json",
        ] {
            assert!(answer(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
