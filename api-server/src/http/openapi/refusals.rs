//! Which errors an operation may answer, and what each of them looks like.

use std::collections::BTreeMap;

use contract::api::ApiError;
use http::Method;
use serde_json::{Map, Value, json};

use super::{
    super::operation::{Content, Operation},
    schemas::Schemas,
};

/// Types of errors, the status of each as [`ApiError::status`] has it, and when it comes.
const TYPES: [(&str, u16, &str); 13] = [
    (
        "invalid_arguments",
        400,
        "Arguments are missing, unknown or outside their constraint; all of them are named.",
    ),
    ("denied_authentication", 401, "No key, or none that is known and good."),
    (
        "permissions_denied",
        403,
        "Another organization is named, or a presigned URL was changed or has expired.",
    ),
    ("quotas_exceeded", 403, "A quota is used up."),
    ("not_found", 404, "There is no such resource, or it is another organization's."),
    ("method_not_allowed", 405, "The path has other methods."),
    ("transient_state", 409, "The resource is in a state that does not bear this now."),
    ("precondition_failed", 412, "Something has to be done first: an upload, mostly."),
    ("payload_too_large", 413, "The body is larger than the limit."),
    ("locked", 423, "An operator has locked the resource."),
    (
        "too_many_requests",
        429,
        "More requests than this key, or this address without a good key, may make; `Retry-After` says when to come again.",
    ),
    ("internal", 500, "The server's fault; its log has the cause under the answer's `X-Request-Id`."),
    (
        "unavailable",
        503,
        "The server's database, or the bucket of its archives, does not answer now; the same request may succeed a little later.",
    ),
];

/// The answers of an operation that are errors, by status. `names` are those of its arguments.
pub(super) fn responses(operation: &Operation, names: &[&str]) -> Map<String, Value> {
    let mut by_status = BTreeMap::<u16, Vec<_>>::new();
    let types = types(operation, names);
    for (kind, status, says) in TYPES.iter().filter(|(kind, ..)| types.contains(kind)) {
        by_status.entry(*status).or_default().push((*kind, *says));
    }
    let response = |(status, kinds): (u16, Vec<(&str, &str)>)| {
        let says: Vec<_> = kinds.iter().map(|(kind, says)| format!("`{kind}`: {says}")).collect();
        let mut refs: Vec<_> =
            kinds.iter().map(|(kind, _)| json!({"$ref": format!("#/components/schemas/{kind}")})).collect();
        let schema = if refs.len() == 1 { refs.remove(0) } else { json!({"oneOf": refs}) };
        let content = json!({"application/json": {"schema": schema}});
        (status.to_string(), json!({"description": says.join(" "), "content": content}))
    };
    by_status.into_iter().map(response).collect()
}

fn types(operation: &Operation, names: &[&str]) -> Vec<&'static str> {
    let signature = &operation.signature;
    let names_a_resource = names.iter().any(|name| name.ends_with("_id") && *name != "organization_id");
    let writes = operation.method != Method::GET;
    let when = [
        // The region, at least, or a part of a presigned URL.
        (true, "invalid_arguments"),
        (signature.key, "denied_authentication"),
        (signature.key, "too_many_requests"),
        (!signature.key || names.contains(&"organization_id"), "permissions_denied"),
        (signature.id || !signature.key || names_a_resource, "not_found"),
        (writes && signature.key, "transient_state"),
        (writes && signature.id, "locked"),
        (matches!(signature.body, Some(Content::Json(_))), "payload_too_large"),
        (true, "internal"),
        (true, "unavailable"),
    ];
    let usual = when.into_iter().filter(|(when, _)| *when).map(|(_, kind)| kind);
    usual.chain(operation.refuses.iter().copied()).collect()
}

/// Names each type's schema.
pub(super) fn name_types(schemas: &mut Schemas) -> Map<String, Value> {
    let schema = schemas.answers().root_schema_for::<ApiError>();
    let options = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let named = |option: Value| Some((option["properties"]["type"]["const"].as_str()?.to_owned(), option));
    options.into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{super::super::operations::operations, *};

    /// A value of each type, made of the schema: `message` and what else there is.
    fn value_of(kind: &str) -> ApiError {
        let fields = json!({
            "type": kind, "message": "m", "details": [], "resource": "r", "resource_id": "i", "current_state": "s",
            "retry_after": 1,
        });
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn every_type_of_error_is_listed_with_its_status() {
        let named = name_types(&mut Schemas::new());
        let listed: Vec<_> = TYPES.iter().map(|(kind, ..)| *kind).collect();
        let mut sorted = listed.clone();
        sorted.sort_unstable();
        assert_eq!(named.keys().map(String::as_str).collect::<Vec<_>>(), sorted);
        for (kind, status, _) in TYPES {
            assert_eq!(value_of(kind).status(), status, "{kind}");
        }
        for operation in operations().into_iter().flat_map(|group| group.operations) {
            for kind in operation.refuses {
                assert!(listed.contains(kind), "{}: {kind}", operation.name);
            }
        }
        assert!(
            named["not_found"]["required"]
                .as_array()
                .is_some_and(|keys| keys.contains(&Value::from("resource_id")))
        );
    }
}
