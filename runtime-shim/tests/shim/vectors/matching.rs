//! How an expected JSON value is compared: objects in part, the rest whole, and a few words for what is not fixed.

use serde_json::{Map, Value, json};

/// What is otherwise, and where. `None`: as expected.
pub(super) fn difference(expected: &Value, got: Option<&Value>, at: &str) -> Option<String> {
    let otherwise = || Some(format!("{at}: expected {expected}, got {}", got.unwrap_or(&json!("nothing"))));
    if let Some((word, operand)) = word(expected) {
        return match (word, got) {
            ("$absent", None) => None,
            ("$text", Some(Value::String(got))) if is_like(operand.as_str().unwrap_or_default(), got) => None,
            ("$number", Some(Value::Number(got))) if is_within(operand, got.as_f64()) => None,
            ("$exactly", Some(Value::Object(got))) => exactly(operand, got, at),
            _ => otherwise(),
        };
    }
    match (expected, got) {
        (Value::Object(expected), Some(Value::Object(got))) => {
            expected.iter().find_map(|(key, value)| difference(value, got.get(key), &format!("{at}.{key}")))
        }
        (Value::Array(all), Some(Value::Array(got))) if all.len() == got.len() => {
            let pairs = all.iter().zip(got).enumerate();
            pairs.into_iter().find_map(|(i, (one, got))| difference(one, Some(got), &format!("{at}[{i}]")))
        }
        (expected, Some(got)) if expected == got => None,
        _ => otherwise(),
    }
}

fn exactly(expected: &Value, got: &Map<String, Value>, at: &str) -> Option<String> {
    let more = got.keys().find(|key| expected.get(key).is_none());
    match more {
        Some(key) => Some(format!("{at}.{key}: expected nothing, got {}", got[key])),
        None => difference(expected, Some(&Value::Object(got.clone())), at),
    }
}

/// `{"$word": operand}`.
fn word(expected: &Value) -> Option<(&str, &Value)> {
    let object = expected.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| key.starts_with('$'))
}

/// `*` in the pattern stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    loop {
        if is_like(rest, text) {
            return true;
        }
        let mut chars = text.chars();
        if chars.next().is_none() {
            return false;
        }
        text = chars.as_str();
    }
}

fn is_within(bounds: &Value, number: Option<f64>) -> bool {
    let bound = |i: usize| bounds.get(i).and_then(Value::as_f64);
    matches!((bound(0), bound(1), number), (Some(low), Some(high), Some(n)) if (low..=high).contains(&n))
}

/// The expectation with one part altered, for each part.
pub(super) fn mutations(expected: &Value) -> Vec<Value> {
    if let Some((word, operand)) = word(expected) {
        return match word {
            "$exactly" => mutations(operand).into_iter().map(|other| json!({"$exactly": other})).collect(),
            "$number" => vec![json!({"$number": [-2, -1]})],
            _ => vec![json!("\u{1}another")],
        };
    }
    match expected {
        Value::Object(fields) if !fields.is_empty() => fields
            .iter()
            .flat_map(|(key, value)| mutations(value).into_iter().map(move |other| (key, other)))
            .map(|(key, other)| {
                let mut fields = fields.clone();
                fields.insert(key.clone(), other);
                Value::Object(fields)
            })
            .collect(),
        Value::Object(_) => vec![json!({"\u{1}another": 1})],
        Value::Array(values) => vec![Value::Array([values.clone(), vec![json!("\u{1}another")]].concat())],
        Value::String(text) => vec![json!(format!("{text}!"))],
        Value::Bool(it) => vec![json!(!it)],
        Value::Null | Value::Number(_) => vec![json!("\u{1}another")],
    }
}

#[test]
fn an_expectation_is_met_or_its_difference_told() {
    let got = json!({"a": {"b": "x-1", "c": [1, null]}, "n": 5});
    for met in [
        json!({"a": {"b": "x-1"}}),
        json!({"a": {"b": {"$text": "x*1"}, "d": {"$absent": true}}, "n": {"$number": [5, 6]}}),
        json!({"a": {"$exactly": {"b": "x-1", "c": [1, null]}}}),
    ] {
        assert_eq!(difference(&met, Some(&got), ""), None);
        for other in mutations(&met) {
            assert!(difference(&other, Some(&got), "").is_some(), "{other}");
        }
    }
    for not in [
        json!({"a": {"b": "x"}}),
        json!({"a": {"c": [1]}}),
        json!({"a": {"$exactly": {"b": "x-1"}}}),
        json!({"n": {"$absent": true}}),
        json!({"x": null}),
        json!({"n": {"$unknown": 1}}),
    ] {
        assert!(difference(&not, Some(&got), "").is_some(), "{not}");
    }
}
