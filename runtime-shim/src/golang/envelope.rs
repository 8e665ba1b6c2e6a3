//! What a program answers in JSON: an envelope or a plain value, by the same rules as in node and python.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::request::answer::{Answer, Refusal};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

pub(super) type Headers = Vec<(String, String)>;

/// An object's keys that make it an envelope, or belong to one. What is absent is `None`, `null` is not.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Fields<'a> {
    #[serde(borrow, deserialize_with = "present")]
    status_code: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    body: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    headers: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    multi_value_headers: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    cookies: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    is_base64_encoded: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// Takes the answer apart.
pub(crate) fn answer(bytes: &Bytes) -> Result<Answer, Refusal> {
    let text = bytes.slice_ref(bytes.trim_ascii());
    match text.first() {
        None => Ok(plain(Bytes::new(), None)),
        Some(b'{') => match enveloped(&text)? {
            Some(answer) => Ok(answer),
            None => Ok(plain(text, Some(JSON))),
        },
        Some(b'"') => serde_json::from_slice::<String>(&text)
            .map(|string| plain(string.into(), Some(TEXT)))
            .map_err(not_json),
        Some(_) => match serde_json::from_slice::<&RawValue>(&text).map_err(not_json)?.get() {
            "null" => Ok(plain(Bytes::new(), None)),
            _ => Ok(plain(text, Some(JSON))),
        },
    }
}

/// The answer in an envelope; `None` when the object is none.
pub(super) fn enveloped(object: &[u8]) -> Result<Option<Answer>, Refusal> {
    let fields: Fields<'_> = serde_json::from_slice(object).map_err(not_json)?;
    let is_envelope = fields.status_code.is_some() || fields.body.is_some();
    is_envelope.then(|| envelope(&fields)).transpose()
}

/// Status and headers that come before a streamed body.
pub(super) fn prelude(object: &[u8]) -> Result<(i64, Headers), Refusal> {
    let fields: Fields<'_> = serde_json::from_slice(object).map_err(|error| {
        Refusal::malformed(format!("the head of the handler's streamed answer is not JSON: {error}"))
    })?;
    Ok((status(value(fields.status_code).as_ref())?, headers(&fields)?))
}

fn not_json(error: serde_json::Error) -> Refusal {
    Refusal::malformed(format!("the handler's answer is not JSON: {error}"))
}

fn plain(body: Bytes, kind: Option<&str>) -> Answer {
    let headers = kind.map(|kind| ("Content-Type".to_owned(), kind.to_owned())).into_iter().collect();
    Answer { status: 200, headers, body }
}

fn value(raw: Option<&RawValue>) -> Option<Value> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

fn envelope(fields: &Fields<'_>) -> Result<Answer, Refusal> {
    let mut headers = headers(fields)?;
    let is_encoded = fields.is_base64_encoded.is_some_and(|raw| raw.get() == "true");
    let (body, default) = match fields.body.map_or("null", RawValue::get) {
        "null" => (Bytes::new(), None),
        string if string.starts_with('"') => {
            let text: String = serde_json::from_str(string).map_err(not_json)?;
            if is_encoded { (decode(&text)?, Some(BINARY)) } else { (Bytes::from(text), Some(TEXT)) }
        }
        other => (Bytes::copy_from_slice(other.as_bytes()), Some(JSON)),
    };
    let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some(default) = default.filter(|_| !has_type && !body.is_empty()) {
        headers.push(("Content-Type".into(), default.into()));
    }
    Ok(Answer { status: status(value(fields.status_code).as_ref())?, headers, body })
}

fn status(value: Option<&Value>) -> Result<i64, Refusal> {
    let refusal = |value: &Value| {
        Refusal::malformed(format!("the handler's statusCode is {value}; it must be 200 to 599"))
    };
    match value {
        None | Some(Value::Null) => Ok(200),
        Some(value) => match value {
            Value::Number(number) => whole(number).map(|n| if n == 0 { 200 } else { n }),
            Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| refusal(value)),
    }
}

/// A whole number, also one that is written with a fraction of zeros.
fn whole(number: &serde_json::Number) -> Option<i64> {
    let written = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
    number.as_i64().or(written.map(|n| n as i64))
}

fn headers(fields: &Fields<'_>) -> Result<Headers, Refusal> {
    let mut multi = Headers::new();
    collect(value(fields.multi_value_headers).as_ref(), "multiValueHeaders", &mut multi)?;
    let mut single = Headers::new();
    collect(value(fields.headers).as_ref(), "headers", &mut single)?;
    single.retain(|(name, _)| !multi.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    single.extend(multi);
    if let Some(Value::Array(cookies)) = value(fields.cookies) {
        for cookie in cookies {
            single.extend(text("Set-Cookie", &cookie)?.map(|cookie| ("Set-Cookie".to_owned(), cookie)));
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
    let standard = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let compact: Vec<u8> = bytes.map(standard).collect();
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
            (r#"{"statusCode":null}"#, 200, None, ""),
            (
                r#" {"b":1.0,"a":12345678901234567890123} "#,
                200,
                Some(JSON),
                r#"{"b":1.0,"a":12345678901234567890123}"#,
            ),
            (r#"{"body":[1.50],"other":[[]]}"#, 200, Some(JSON), "[1.50]"),
            ("[1]", 200, Some(JSON), "[1]"),
            ("null", 200, None, ""),
            ("", 200, None, ""),
        ] {
            let got = answer(&Bytes::from_static(json.as_bytes())).expect(json);
            let found = got.headers.first().map(|(_, value)| value.as_str());
            assert_eq!((got.status, found, &got.body[..]), (status, kind, body.as_bytes()), "{json}");
        }
    }

    #[test]
    fn several_values_win_over_single_ones() {
        let json = r#"{"statusCode":200,"headers":{"a":"1","B":2,"c":null},"multiValueHeaders":{"A":["x","y"]},"cookies":["k=v"]}"#;
        let got = answer(&Bytes::from_static(json.as_bytes())).expect("answer").headers;
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
            "{\"a\":",
            "\"text",
            "[1",
        ] {
            assert!(answer(&Bytes::from_static(bad.as_bytes())).is_err(), "{bad}");
        }
    }
}
