//! Resources of any kind, made with nothing but the description: a new kind needs no new code here.

use axum::body::Body;
use http::Request;
use serde_json::{Map, Value, json};

use super::{Operation, body_of, operations};
use crate::harness::{Answer, Client, eventually};

/// What one caller makes.
pub(super) struct World<'a> {
    document: &'a Value,
    pub(super) client: Client,
    made: usize,
}

/// One request to an operation.
#[derive(Clone, Default)]
pub(super) struct Ask {
    /// Values of the path's parameters but the region.
    pub(super) path: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Map<String, Value>>,
}

impl<'a> World<'a> {
    pub(super) fn new(document: &'a Value, client: Client) -> Self {
        Self { document, client, made: 0 }
    }

    /// The id of a new resource of a kind (`namespace_id`) that is no longer `creating`; `None` for kinds that no
    /// operation makes.
    pub(super) async fn make(&mut self, kind: &str) -> Option<String> {
        match kind {
            // A cron's target, and whose logs are read.
            "application_id" => return Box::pin(self.make("function_id")).await,
            "registry_namespace_id" => {
                let namespace = Box::pin(self.make("namespace_id")).await?;
                let answer = self.client.get(&format!("namespaces/{namespace}")).await;
                return Some(answer.body[kind].as_str().unwrap().to_owned());
            }
            _ => {}
        }
        let create = self.creates(kind)?;
        let ask = Ask { body: Box::pin(self.body(create)).await, ..Ask::default() };
        let id = self.ask(create, &ask).await.id();
        let get = self.item("get", kind)?;
        let ask = Ask { path: vec![(kind.to_owned(), id.clone())], ..Ask::default() };
        eventually(async || (self.ask(get, &ask).await.body["status"] != "creating").then_some(())).await;
        Some(id)
    }

    /// The id of a resource that was made and is gone; `None` for kinds that no operation deletes.
    pub(super) async fn make_and_delete(&mut self, kind: &str) -> Option<String> {
        let kind = if kind == "application_id" { "function_id" } else { kind };
        let (delete, get) = (self.item("delete", kind)?, self.item("get", kind)?);
        let id = self.make(kind).await?;
        let ask = Ask { path: vec![(kind.to_owned(), id.clone())], ..Ask::default() };
        assert_eq!(self.ask(delete, &ask).await.status, 200);
        eventually(async || (self.ask(get, &ask).await.status == 404).then_some(())).await;
        Some(id)
    }

    /// Makes an element of the list that a filter shows, where a list has that filter.
    pub(super) async fn fill(&mut self, list: Operation<'a>, filter: &str, id: &str) {
        let creates = |one: &Operation<'_>| one.method == "post" && one.path == list.path;
        let Some(create) = operations(self.document).into_iter().find(creates) else { return };
        let mut ask = Ask { body: self.body(create).await, ..Ask::default() };
        ask.body.get_or_insert_default().insert(filter.to_owned(), id.into());
        self.ask(create, &ask).await.id();
    }

    /// A request with all that is required, naming resources of the caller's own.
    pub(super) async fn good(&mut self, operation: Operation<'a>) -> Ask {
        let mut ask = Ask { body: self.body(operation).await, ..Ask::default() };
        for parameter in operation.says["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            match parameter["in"].as_str() {
                Some("path") if name != "region" => {
                    let id = self.make(name).await.unwrap_or_else(|| panic!("nothing makes a {name}"));
                    ask.path.push((name.to_owned(), id));
                }
                Some("query") if parameter["required"] == true && name.ends_with("_id") => {
                    let id = self.make(name).await.unwrap_or_else(|| panic!("nothing makes a {name}"));
                    ask.query.push((name.to_owned(), id));
                }
                Some("query") if parameter["required"] == true => {
                    let least = parameter["schema"]["minimum"].as_u64().unwrap();
                    ask.query.push((name.to_owned(), least.to_string()));
                }
                _ => {}
            }
        }
        ask
    }

    /// A body with what is required and nothing else.
    async fn body(&mut self, operation: Operation<'a>) -> Option<Map<String, Value>> {
        let schema = body_of(self.document, operation)?;
        let mut body = Map::new();
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap();
            let value = match name.ends_with("_id") {
                true => self.make(name).await.into(),
                false => self.sample(name, &schema["properties"][name]),
            };
            body.insert(name.to_owned(), value);
        }
        Some(body)
    }

    fn sample(&mut self, name: &str, schema: &Value) -> Value {
        self.made += 1;
        let given = schema["examples"].get(0).or_else(|| schema["enum"].get(0));
        given.cloned().unwrap_or_else(|| json!(format!("{name}{}", self.made)))
    }

    pub(super) async fn ask(&self, operation: Operation<'_>, ask: &Ask) -> Answer {
        let mut path = operation.path.replace("{region}", "fr-par");
        for (name, value) in &ask.path {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let pairs: Vec<_> = ask.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body =
            ask.body.as_ref().map_or(Body::empty(), |body| Value::from(body.clone()).to_string().into());
        let request = Request::builder()
            .method(operation.method.to_uppercase().as_str())
            .uri(format!("{path}?{}", pairs.join("&")))
            .header("host", "api.test:8080")
            .header("x-auth-token", self.client.key.as_deref().unwrap());
        self.client.send(request.body(body).unwrap()).await
    }

    /// The `POST` to the collection whose elements are named so.
    fn creates(&self, kind: &str) -> Option<Operation<'a>> {
        let get = self.item("get", kind)?;
        let collection = get.path.strip_suffix(&format!("/{{{kind}}}"))?;
        operations(self.document).into_iter().find(|one| one.method == "post" && one.path == collection)
    }

    fn item(&self, method: &str, kind: &str) -> Option<Operation<'a>> {
        let ending = format!("s/{{{kind}}}");
        operations(self.document).into_iter().find(|one| one.method == method && one.path.ends_with(&ending))
    }
}
