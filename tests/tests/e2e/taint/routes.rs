//! Every operation of the server's own description, asked by its owner, by another organization and by nobody, with
//! bodies that fit and that do not.

use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::Answer;

use super::World;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Owner,
    Another,
    Nobody,
    /// A caller of a function.
    Visitor,
}

/// An answer, and what it was to.
pub(super) struct Told {
    pub(super) what: String,
    pub(super) caller: Caller,
    pub(super) answer: Answer,
}

impl Told {
    /// Status, headers and body as they came.
    pub(super) fn bytes(&self) -> Vec<u8> {
        [format!("{:?}\n", self.answer.headers).as_bytes(), &self.answer.body].concat()
    }
}

/// What is asked of all callers: methods and paths of the description, what deletes last.
fn operations(document: &Value) -> Vec<(Method, String)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            if item.get(method.as_str().to_lowercase()).is_some() {
                found.push((method, path.clone()));
            }
        }
    }
    found.sort_by_key(|(method, path)| (*method == Method::DELETE, std::cmp::Reverse(path.len())));
    found
}

impl World {
    /// Asks everything; how many operations there are.
    pub(super) async fn ask_everything(&mut self) -> anyhow::Result<usize> {
        let api = self.server.api().clone();
        let document =
            Answer::of(api.request(Method::GET, &format!("{}/openapi.json", api.url()))).await?.json();
        let operations = operations(&document);
        for caller in [Caller::Nobody, Caller::Another, Caller::Owner] {
            for (method, template) in &operations {
                for (path, body) in self.questions(template) {
                    self.ask(caller, method.clone(), &path, body).await?;
                }
            }
        }
        Ok(operations.len())
    }

    /// One request and its answer, kept.
    pub(super) async fn ask(
        &mut self,
        caller: Caller,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> anyhow::Result<u16> {
        let told = self.answer(caller, method, path, body).await?;
        let status = told.answer.status;
        self.told.push(told);
        Ok(status)
    }

    /// One request and its answer.
    pub(super) async fn answer(
        &self,
        caller: Caller,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> anyhow::Result<Told> {
        let api = self.server.api();
        let mut request = api.request(method.clone(), &format!("{}{path}", api.url()));
        match caller {
            Caller::Owner => request = request.header("X-Auth-Token", api.key()),
            Caller::Another => request = request.header("X-Auth-Token", &self.stranger),
            Caller::Nobody | Caller::Visitor => {}
        }
        if let Some(body) = body.filter(|_| method != Method::GET) {
            request = request.body(body);
        }
        let answer = Answer::of(request).await?;
        Ok(Told { what: format!("{method} {path} by {caller:?}"), caller, answer })
    }

    fn questions(&self, template: &str) -> Vec<(String, Option<String>)> {
        let mut path = template.replace("{region}", "fr-par");
        for (name, value) in &self.ids {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        // A parameter that nobody here knows is asked for as something that is not there.
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            path.replace_range(from..=to, "00000000-0000-4000-8000-000000000000");
        }
        let marked = &self.markers["variables in a request body"];
        let bodies = [
            json!({}).to_string(),
            json!({"environment_variables": {"A": marked}, "name": "taint-body"}).to_string(),
            json!({"environment_variables": {"SCW_SECRET": marked}}).to_string(),
            json!({"environment_variables": marked}).to_string(),
            format!("{{\"environment_variables\": {{\"A\": \"{marked}\""),
        ];
        let function = &self.ids["function_id"];
        let query = format!("{path}?function_id={function}&application_id={function}&content_length=3");
        bodies.into_iter().map(|body| (path.clone(), Some(body))).chain([(query, None)]).collect()
    }
}
