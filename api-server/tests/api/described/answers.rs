//! That an answer is one of those that the description has: its status is listed, and its body fits the schema. Every
//! answer of every test of the API comes through here.

use http::{Method, StatusCode};
use serde_json::Value;

use super::{Operation, operations, resolve};

/// Panics where an answer does not fit. Paths that are no operation's are not looked at.
pub(crate) fn check(document: &Value, method: &Method, path: &str, status: StatusCode, body: &Value) {
    let all = operations(document);
    let named = |operation: &&Operation| fits(operation.path, path);
    let Some(operation) =
        all.iter().filter(named).find(|operation| operation.method.eq_ignore_ascii_case(method.as_str()))
    else {
        return;
    };
    let responses = &operation.says["responses"];
    let response = &responses[status.as_str()];
    assert!(response.is_object(), "{} does not say that it answers {status}: {body}", operation.name());
    if let Some(schema) = response.pointer("/content/application~1json/schema") {
        let problems = problems(document, schema, body);
        assert!(problems.is_empty(), "{} {status}: {}\n{body}", operation.name(), problems.join("; "));
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
    let same = |(wanted, found): (&&str, &&str)| wanted.starts_with('{') || wanted == found;
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

/// What of a value does not fit a schema, in the words of JSON Schema that the description uses.
fn problems(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let schema = resolve(document, schema);
    let Some(words) = schema.as_object() else { panic!("no schema: {schema}") };
    let mut found = Vec::new();
    for (word, wanted) in words {
        match word.as_str() {
            "type" => found.extend((!is_of_type(wanted, value)).then(|| format!("{value} is no {wanted}"))),
            "const" => found.extend((wanted != value).then(|| format!("{value} is not {wanted}"))),
            "enum" => found.extend(
                (!wanted.as_array().unwrap().contains(value)).then(|| format!("{value} is not in {wanted}")),
            ),
            "minimum" => {
                let low = value.as_f64().is_some_and(|number| number < wanted.as_f64().unwrap());
                found.extend(low.then(|| format!("{value} is below {wanted}")));
            }
            "maximum" => {
                let high = value.as_f64().is_some_and(|number| number > wanted.as_f64().unwrap());
                found.extend(high.then(|| format!("{value} is above {wanted}")));
            }
            "required" => {
                let keys = wanted.as_array().unwrap().iter().map(|key| key.as_str().unwrap());
                found.extend(
                    keys.filter(|key| value.get(key).is_none()).map(|key| format!("{key} is absent")),
                );
            }
            "properties" => {
                for (key, schema) in wanted.as_object().unwrap() {
                    let inner = value.get(key).map(|value| problems(document, schema, value));
                    found.extend(inner.into_iter().flatten().map(|problem| format!("{key}: {problem}")));
                }
                let known = wanted.as_object().unwrap();
                let extra =
                    value.as_object().into_iter().flatten().filter(|(key, _)| !known.contains_key(*key));
                found.extend(extra.map(|(key, _)| format!("{key} is not described")));
            }
            "additionalProperties" if wanted.is_boolean() => {}
            "additionalProperties" => {
                let values = value.as_object().into_iter().flat_map(|map| map.values());
                found.extend(values.flat_map(|value| problems(document, wanted, value)));
            }
            "items" => {
                let elements = value.as_array().into_iter().flatten();
                found.extend(elements.flat_map(|value| problems(document, wanted, value)));
            }
            "oneOf" | "anyOf" => {
                let options = wanted.as_array().unwrap().iter();
                let fitting = options.filter(|option| problems(document, option, value).is_empty()).count();
                found.extend((fitting == 0).then(|| format!("{value} is none of {wanted}")));
            }
            "description" | "format" | "title" | "default" | "examples" => {}
            other => panic!("this check does not know {other}"),
        }
    }
    found
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(options) => options.iter().any(|wanted| is_of_type(wanted, value)),
        Value::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other} is no type"),
        },
        other => panic!("{other} is no type"),
    }
}

#[test]
fn an_answer_that_does_not_fit_is_found() {
    let document = serde_json::json!({"components": {"schemas": {"T": {
        "type": "object", "required": ["a"],
        "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9}, "b": {"type": ["string", "null"]}, "c": {"enum": ["x"]}},
    }}}});
    let schema = serde_json::json!({"$ref": "#/components/schemas/T"});
    let found = |value: Value| problems(&document, &schema, &value).join("; ");
    assert_eq!(found(serde_json::json!({"a": 1, "b": null, "c": "x"})), "");
    for (value, problem) in [
        (serde_json::json!({}), "a is absent"),
        (serde_json::json!({"a": -1}), "a: -1 is below 0"),
        (serde_json::json!({"a": 10}), "a: 10 is above 9"),
        (serde_json::json!({"a": "1"}), "a: \"1\" is no \"integer\""),
        (serde_json::json!({"a": 1, "b": 2}), "b: 2 is no [\"string\",\"null\"]"),
        (serde_json::json!({"a": 1, "c": "y"}), "c: \"y\" is not in [\"x\"]"),
        (serde_json::json!({"a": 1, "d": 0}), "d is not described"),
    ] {
        assert_eq!(found(value), problem);
    }
}
