//! JSON that means one thing only: an object in which no key stands twice, at any depth, and that is not deep.
//!
//! Two parsers that read the same bytes differently (the first of two `exp`, or the last) are how a token passes
//! one check and is used by another.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Arrays and objects within each other, the outermost counted.
const DEEPEST: usize = 32;

/// Why bytes are no such object. Fixed words: what stands in a token is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("it is not UTF-8")]
    Utf8,
    #[error("it cannot be read, or names a key twice, or is more than {DEEPEST} deep")]
    Syntax,
    #[error("it is something else")]
    NoObject,
}

/// Reads the whole of `bytes`, white space around it allowed.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::Utf8)?;
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = Strict { left: DEEPEST }.deserialize(&mut parser).map_err(|_| JsonError::Syntax)?;
    parser.end().map_err(|_| JsonError::Syntax)?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(JsonError::NoObject),
    }
}

/// How many levels may still be opened.
#[derive(Clone, Copy)]
struct Strict {
    left: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom("a key stands twice"));
            }
            fields.insert(name, entries.next_value_seed(inner)?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth_and_however_it_is_written() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[0,{"a":1,"a":2}]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(object(bad.as_bytes()), Err(JsonError::Syntax), "{bad}");
        }
        assert_eq!(object(br#"{"a":{"a":1},"A":1}"#).expect("different keys").len(), 2);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(DEEPEST - 1).as_bytes()).is_ok());
        for depth in [DEEPEST, 200, 4000] {
            assert_eq!(object(nested(depth).as_bytes()), Err(JsonError::Syntax), "{depth}");
        }
        let objects = format!("{}1{}", "{\"a\":".repeat(DEEPEST + 1), "}".repeat(DEEPEST + 1));
        assert_eq!(object(objects.as_bytes()), Err(JsonError::Syntax));
    }

    #[test]
    fn what_is_no_json_object() {
        for (bad, why) in [
            (&b"{\"a\":\"\xff\"}"[..], JsonError::Utf8),
            (b"\xef\xbb\xbf{}", JsonError::Syntax),
            (b"{\"a\":\"\\ud800\"}", JsonError::Syntax),
            (b"{\"a\":1e999}", JsonError::Syntax),
            (b"{\"a\":NaN}", JsonError::Syntax),
            (b"{\"a\":01}", JsonError::Syntax),
            (b"{\"a\":1,}", JsonError::Syntax),
            (b"{} {}", JsonError::Syntax),
            (b"{}\0", JsonError::Syntax),
            (b"", JsonError::Syntax),
            (b"[]", JsonError::NoObject),
            (b"null", JsonError::NoObject),
        ] {
            assert_eq!(object(bad), Err(why), "{}", bad.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_others_read(text in r#"\{("[ab]":([0-9]{1,20}|-?[0-9]\.[0-9]|true|null|"[a-z\\u0{3}1]{0,6}"|\{\}|\[1\]),?){0,3}\}"#) {
            if let Ok(fields) = object(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), Value::Object(fields));
            }
        }
    }
}
