//! A cron's arguments: a plain object, or the form in which the document prints one, with a type beside each value.

use serde_json::{Map, Value};

/// The plain object that `args` means. It is the typed form only if `fields` is its sole key and every value has
/// exactly one of the six keys, all the way down; anything else is plain already.
#[must_use]
pub fn plain(args: Map<String, Value>) -> Map<String, Value> {
    untyped_struct(&args).unwrap_or(args)
}

fn untyped_struct(object: &Map<String, Value>) -> Option<Map<String, Value>> {
    let fields = sole(object, "fields")?.as_object()?;
    fields.iter().map(|(key, value)| Some((key.clone(), untyped(value)?))).collect()
}

/// A value of the typed form; `None` when it is none.
fn untyped(value: &Value) -> Option<Value> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (kind, value) = object.iter().next()?;
    match (kind.as_str(), value) {
        ("null_value", Value::Null) => Some(Value::Null),
        ("null_value", Value::String(name)) if name == "NULL_VALUE" => Some(Value::Null),
        ("number_value", Value::Number(_))
        | ("string_value", Value::String(_))
        | ("bool_value", Value::Bool(_)) => Some(value.clone()),
        // Without fields or values, the document's empty ones.
        ("struct_value" | "list_value", Value::Object(empty)) if empty.is_empty() => {
            Some(match kind.as_str() {
                "list_value" => Value::Array(Vec::new()),
                _ => Value::Object(Map::new()),
            })
        }
        ("struct_value", Value::Object(inner)) => untyped_struct(inner).map(Value::Object),
        ("list_value", Value::Object(inner)) => {
            let values = sole(inner, "values")?.as_array()?;
            values.iter().map(untyped).collect::<Option<_>>().map(Value::Array)
        }
        _ => None,
    }
}

fn sole<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|_| object.len() == 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(args: Value) -> Value {
        let Value::Object(args) = args else { panic!("an object") };
        Value::Object(plain(args))
    }

    #[test]
    fn the_typed_form_means_the_plain_one() {
        let typed = json!({"fields": {
            "null": {"null_value": "NULL_VALUE"}, "number": {"number_value": 42.5}, "text": {"string_value": "s"},
            "yes": {"bool_value": true}, "nothing": {"struct_value": {}}, "none": {"list_value": {}},
            "object": {"struct_value": {"fields": {"a": {"string_value": "b"}}}},
            "list": {"list_value": {"values": [{"number_value": 1}, {"list_value": {"values": []}}]}},
        }});
        let plain = json!({
            "null": null, "number": 42.5, "text": "s", "yes": true, "nothing": {}, "none": [],
            "object": {"a": "b"}, "list": [1, []],
        });
        assert_eq!(read(typed), plain);
        assert_eq!(read(json!({"fields": {}})), json!({}));
    }

    #[test]
    fn anything_else_is_plain() {
        for plain in [
            json!({}),
            json!({"a": {"string_value": "s"}}),
            json!({"fields": {"a": {"string_value": "s"}}, "more": 1}),
            json!({"fields": {"a": {"string_value": "s"}, "b": 1}}),
            json!({"fields": {"a": {"string_value": 1}}}),
            json!({"fields": {"a": {"string_value": "s", "bool_value": true}}}),
            json!({"fields": {"a": {"list_value": {"values": [1]}}}}),
            json!({"fields": {"a": {"null_value": "NONE"}}}),
            json!({"fields": [1]}),
        ] {
            assert_eq!(read(plain.clone()), plain);
        }
    }
}
