//! What the answer of a create is good for: links to each operation that takes what was made, in its path, its query
//! or its body. Clients that explore the API by its description find their way by them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What an operation takes.
pub(super) struct Takes {
    /// Its name.
    pub(super) operation: &'static str,
    /// Whether its path begins with a region.
    pub(super) region: bool,
    /// Names of what it takes, with where: `path`, `query`; the rest is the body's.
    pub(super) names: Vec<(&'static str, String)>,
}

/// Adds links to the `200` of every create: a `POST` to a collection of which `GET` shows one element.
pub(super) fn add(paths: &mut Map<String, Value>, all: &[Takes]) {
    let elements: BTreeMap<_, _> = paths
        .iter()
        .filter(|(_, item)| item["get"].is_object())
        .filter_map(|(path, _)| element(path))
        .collect();
    for (path, item) in paths {
        let Some(kind) = elements.get(path) else { continue };
        let links: Map<_, _> = all.iter().filter_map(|takes| link(takes, kind)).collect();
        if let Some(done) = item.pointer_mut("/post/responses/200") {
            done["links"] = links.into();
        }
    }
}

/// The collection and the name of its element: `/a/{a_id}` is one of `/a`.
fn element(path: &str) -> Option<(String, String)> {
    let (collection, last) = path.rsplit_once('/')?;
    Some((collection.to_owned(), last.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
}

fn link(takes: &Takes, kind: &str) -> Option<(String, Value)> {
    let (mut parameters, mut body) = (Map::new(), Map::new());
    for (place, name) in &takes.names {
        let Some(member) = member(kind, name) else { continue };
        let from = json!(format!("$response.body#/{member}"));
        match *place {
            "body" => body.insert(name.clone(), from),
            place => parameters.insert(format!("{place}.{name}"), from),
        };
    }
    if parameters.is_empty() && body.is_empty() {
        return None;
    }
    if takes.region {
        parameters.insert("path.region".to_owned(), "$request.path.region".into());
    }
    let mut link = json!({"operationId": takes.operation, "parameters": parameters});
    if !body.is_empty() {
        link["requestBody"] = body.into();
    }
    Some((takes.operation.to_owned(), link))
}

/// Which member of a resource's answer an argument wants.
fn member(kind: &str, name: &str) -> Option<&'static str> {
    match (kind, name) {
        ("namespace_id", "registry_namespace_id") => Some("registry_namespace_id"),
        ("function_id" | "container_id", "application_id") => Some("id"),
        _ if kind == name => Some("id"),
        _ => None,
    }
}
