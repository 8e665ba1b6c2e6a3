//! What the API says about itself, and that it is so.

mod answers;
mod arguments;
mod facts;
mod links;
mod page;
mod table;
mod tenants;
mod world;

pub(crate) use answers::check;

use serde_json::Value;

/// An operation of the document.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) says: &'a Value,
}

impl Operation<'_> {
    fn name(&self) -> &str {
        self.says["operationId"].as_str().unwrap()
    }

    fn needs_key(&self) -> bool {
        self.says["security"] != serde_json::json!([])
    }
}

/// All operations of a document.
pub(crate) fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods)| {
        let methods: &serde_json::Map<String, Value> = Value::as_object(methods).unwrap();
        methods.iter().map(move |(method, says)| Operation { method, path: String::as_str(path), says })
    };
    paths.iter().flat_map(of_path).collect()
}

/// What a `$ref` means, or the schema itself.
pub(crate) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => {
            document.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("{path} is nowhere"))
        }
        None => schema,
    }
}

/// The schema of an operation's JSON body.
fn body_of<'a>(document: &'a Value, operation: Operation<'a>) -> Option<&'a Value> {
    let schema = operation.says.pointer("/requestBody/content/application~1json/schema")?;
    Some(resolve(document, schema))
}
