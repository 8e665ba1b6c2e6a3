//! Every argument of every operation × every way to be outside of what the description allows: refused with 400 and
//! with details that name the argument and the reason.

use serde_json::{Value, json};

use super::{
    Operation, body_of, operations, resolve,
    world::{Ask, World},
};
use crate::harness::{Answer, Server};

/// Values that a schema does not allow.
fn bad(document: &Value, schema: &Value) -> Vec<Value> {
    let schema = resolve(document, schema);
    let mut values = Vec::new();
    if let Some(options) = schema["anyOf"].as_array() {
        let other_than_null = options.iter().filter(|option| option["type"] != "null");
        return other_than_null.flat_map(|option| bad(document, option)).collect();
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    for kind in types {
        match kind.as_str() {
            Some("string") => values.extend([json!(5), json!(["x"]), json!({})]),
            Some("integer") => values.extend([json!("5"), json!(1.5), json!(-1), json!(true), json!(1e30)]),
            Some("boolean") => values.extend([json!("true"), json!(1)]),
            Some("object") => values.extend([json!("x"), json!([]), json!(1)]),
            Some("null") => {}
            other => panic!("no values of type {other:?} are known"),
        }
    }
    let is_text = schema["type"] == "string" || schema["type"] == json!(["string", "null"]);
    if schema.get("enum").is_some() {
        values.push(if is_text { json!("something else") } else { json!(127) });
    }
    if schema.get("pattern").is_some() {
        values.extend([json!("-x"), json!("a b"), json!("a".repeat(64))]);
    }
    values.extend(schema["minimum"].as_i64().map(|least| json!(least - 1)));
    values.extend(schema["maximum"].as_u64().map(|most| json!(most + 1)));
    if let Some(most) = schema["maxProperties"].as_u64() {
        values.push(
            (0..=most).map(|n| (format!("A{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into(),
        );
    }
    if schema.get("propertyNames").is_some() {
        values.extend(["", "1A", "A B", "PORT", "SCW_X"].map(|name| json!({name: "x"})));
    }
    if let Some(most) = schema.pointer("/additionalProperties/maxLength").and_then(Value::as_u64) {
        values.push(json!({"A": "x".repeat(usize::try_from(most).unwrap() + 1)}));
        values.extend([json!({"A": 1}), json!({"A": "\u{0}"})]);
    }
    values
}

/// Values of a query's key that its schema does not allow.
fn bad_in_query(schema: &Value) -> Vec<String> {
    let mut values = Vec::new();
    if schema["type"] == "integer" {
        values.extend(["0", "-1", "x", "1.5"].map(str::to_owned));
    }
    values.extend(schema["maximum"].as_u64().map(|most| (most + 1).to_string()));
    if schema.get("enum").is_some() {
        values.push("something".to_owned());
    }
    if schema["format"] == "date" {
        values.extend(["yesterday", "2001-02-30", "2001-01-01T00:00:00Z"].map(str::to_owned));
    }
    if schema["format"] == "date-time" {
        values.extend(["yesterday", "2001-01-01T00:00:00Z"].map(str::to_owned));
    }
    values
}

#[tokio::test]
async fn every_argument_outside_what_is_described_is_named_with_the_reason() {
    let server = Server::start().await;
    let document = server.document();
    let mut world = World::new(document, server.client().await);
    let mut refused = 0;
    for operation in operations(document).into_iter().filter(Operation::needs_key) {
        let good = world.good(operation).await;
        refused += bodies(document, &world, operation, &good).await;
        refused += queries(&world, operation, &good).await;
    }
    assert!(refused > 150, "only {refused} values were tried");
}

async fn bodies(document: &Value, world: &World<'_>, operation: Operation<'_>, good: &Ask) -> usize {
    let Some(schema) = body_of(document, operation) else { return 0 };
    let mut refused = 0;
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        let mut ask = good.clone();
        ask.body.as_mut().unwrap().remove(name);
        world.ask(operation, &ask).await.assert_argument(name, "required");
        refused += 1;
    }
    for (name, property) in schema["properties"].as_object().unwrap() {
        for value in bad(document, property) {
            let mut ask = good.clone();
            ask.body.as_mut().unwrap().insert(name.clone(), value.clone());
            let answer = world.ask(operation, &ask).await;
            assert_named(&answer, operation, name, &value.to_string());
            refused += 1;
        }
    }
    refused
}

async fn queries(world: &World<'_>, operation: Operation<'_>, good: &Ask) -> usize {
    let mut refused = 0;
    for parameter in
        operation.says["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "query")
    {
        let name = parameter["name"].as_str().unwrap();
        let mut without = good.clone();
        without.query.retain(|(other, _)| other != name);
        if parameter["required"] == true {
            world.ask(operation, &without).await.assert_argument(name, "required");
        }
        for value in bad_in_query(&parameter["schema"]) {
            let mut ask = without.clone();
            ask.query.push((name.to_owned(), value.clone()));
            let answer = world.ask(operation, &ask).await;
            assert_named(&answer, operation, name, &value);
            refused += 1;
        }
    }
    refused
}

/// That the answer names the argument, and every reason is told in words.
fn assert_named(answer: &Answer, operation: Operation<'_>, name: &str, value: &str) {
    answer.assert_error(400, "invalid_arguments");
    let details = answer.body["details"].as_array().unwrap();
    let is_named = details.iter().any(|detail| detail["argument_name"] == name);
    assert!(is_named, "{}: {name} {value} {answer:?}", operation.name());
    assert!(details.iter().all(|detail| detail["help_message"] != ""), "{answer:?}");
}
