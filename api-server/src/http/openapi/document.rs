//! The document: OpenAPI 3.1, whose schemas are JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use super::{
    super::operation::{Group, Operation},
    links::{self, Takes},
    refusals,
    schemas::Schemas,
};
use crate::Config;

const SAYS: &str = "Zip in, function out: an open implementation of the Functions API v1alpha2. \
    Unknown keys of bodies and queries are ignored; in a body, `null` and absent are the same. In a query an empty value \
    is as good as none, and of a key that is there several times the last one counts.";

/// Describes the operations as this server has them: its regions, its limits.
pub(super) fn document(groups: &[Group], config: &Config) -> Value {
    let mut schemas = Schemas::new();
    let (mut paths, mut takes) = (Map::new(), Vec::new());
    for group in groups {
        for operation in &group.operations {
            let path = format!("{}{}", group.base, operation.path);
            let (described, names) = describe(group, operation, &path, config, &mut schemas);
            takes.push(Takes { operation: operation.name, region: path.contains("{region}"), names });
            let item = paths.entry(path).or_insert_with(|| json!({}));
            item[operation.method.as_str().to_lowercase()] = described;
        }
    }
    links::add(&mut paths, &takes);
    let errors = refusals::name_types(&mut schemas);
    let mut named = schemas.finish(&config.limits);
    named.extend(errors);
    json!({
        "openapi": "3.1.0",
        "info": {"title": "zipship", "version": "v1alpha2", "description": SAYS},
        "servers": [{"url": config.public_url.as_deref().unwrap_or("/")}],
        "tags": groups.iter().map(|group| json!({"name": group.name})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": named,
            "securitySchemes": {"key": {
                "type": "apiKey", "in": "header", "name": "X-Auth-Token",
                "description": "An API key of an organization: `zipship keys`.",
            }},
        },
    })
}

fn describe(
    group: &Group,
    operation: &Operation,
    path: &str,
    config: &Config,
    schemas: &mut Schemas,
) -> (Value, Vec<(&'static str, String)>) {
    let signature = &operation.signature;
    let mut parameters: Vec<_> = in_path(path).map(|name| path_parameter(name, config)).collect();
    let mut names: Vec<_> = in_path(path).map(|name| ("path", name.to_owned())).collect();
    for parameter in (operation.query)(config) {
        names.push(("query", parameter.name.to_owned()));
        parameters.push(json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.says,
            "required": parameter.required,
            "schema": parameter.schema,
        }));
    }
    let mut described = json!({
        "operationId": operation.name,
        "tags": [group.name],
        "summary": operation.says,
        "parameters": parameters,
        "security": if signature.key { json!([{"key": []}]) } else { json!([]) },
    });
    if let Some(body) = signature.body {
        let sent = schemas.holds(body);
        names.extend(sent.names.into_iter().map(|name| ("body", name)));
        described["requestBody"] = json!({"required": sent.required, "content": schemas.sent(body)});
    }
    let mut responses =
        refusals::responses(operation, &names.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>());
    let content = schemas.answered(signature.answer);
    responses.insert("200".to_owned(), json!({"description": "Done.", "content": content}));
    described["responses"] = Value::Object(responses);
    (described, names)
}

fn in_path(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str, config: &Config) -> Value {
    let schema = match name {
        "region" => json!({"type": "string", "enum": config.regions}),
        _ => json!({"type": "string"}),
    };
    json!({"name": name, "in": "path", "required": true, "schema": schema})
}
