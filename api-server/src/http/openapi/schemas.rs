//! Schemas of the types that are sent and answered, by name.

use contract::limits::ApiLimits;
use schemars::{
    Schema, SchemaGenerator,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform as _},
};
use serde_json::{Map, Value, json};

use super::{super::operation::Content, constraints};

/// Collects schemas while a document is made.
pub(super) struct Schemas {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

/// What a body holds.
pub(super) struct Held {
    /// Names of its arguments.
    pub(super) names: Vec<String>,
    /// Whether one of them has to be there: no body is as good as an empty object.
    pub(super) required: bool,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12()
                .with(|settings| settings.definitions_path = "/components/schemas".into())
        };
        Self {
            sent: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }

    /// The `content` of a request.
    pub(super) fn sent(&mut self, body: Content) -> Value {
        content(&mut self.sent, body)
    }

    /// The `content` of an answer. No key of one is ever absent.
    pub(super) fn answered(&mut self, answer: Content) -> Value {
        content(&mut self.answered, answer)
    }

    /// What a body holds.
    pub(super) fn holds(&mut self, body: Content) -> Held {
        let Content::Json(make) = body else { return Held { names: Vec::new(), required: true } };
        let schema = make(&mut self.sent);
        let named = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        let schema = named.and_then(|name| self.sent.definitions().get(name));
        let properties = schema.and_then(|schema| schema["properties"].as_object());
        let required = schema.and_then(|schema| schema["required"].as_array());
        Held {
            names: properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default(),
            required: required.is_some_and(|names| !names.is_empty()),
        }
    }

    /// What makes schemas of answers.
    pub(super) fn answers(&mut self) -> &mut SchemaGenerator {
        &mut self.answered
    }

    /// All that were named, those of requests with the limits of this server. A type that is both sent and answered
    /// is the same in both.
    pub(super) fn finish(mut self, limits: &ApiLimits) -> Map<String, Value> {
        let mut all = self.answered.take_definitions(true);
        let mut sent = self.sent.take_definitions(true);
        for schema in all.values_mut().chain(sent.values_mut()) {
            if let Ok(schema) = <&mut Schema>::try_from(schema) {
                RecursiveTransform(names_as_enum).transform(schema);
            }
        }
        for (name, schema) in &mut sent {
            constraints::lay_over(name, schema, limits);
        }
        all.extend(sent);
        all
    }
}

fn content(generator: &mut SchemaGenerator, content: Content) -> Value {
    match content {
        Content::Json(make) => json!({"application/json": {"schema": make(generator)}}),
        Content::Bytes => json!({"application/octet-stream": {}}),
    }
}

/// `oneOf` of single names, each with its comment, becomes an `enum`, which every reader of schemas knows.
fn names_as_enum(schema: &mut Schema) {
    let Some(options) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let name = |option: &Value| option.get("const").filter(|name| name.is_string()).cloned();
    let Some(names) = options.iter().map(name).collect::<Option<Vec<_>>>() else { return };
    let explain = |option: &Value| {
        Some(format!("`{}`: {}", option["const"].as_str()?, option["description"].as_str()?))
    };
    let mut says: Vec<_> =
        schema.get("description").and_then(Value::as_str).map(str::to_owned).into_iter().collect();
    says.extend(options.iter().filter_map(explain));
    schema.remove("oneOf");
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), names.into());
    schema.insert("description".to_owned(), says.join(" ").into());
}
