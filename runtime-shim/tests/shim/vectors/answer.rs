//! What a caller is to get.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::matching::{difference, mutations};
use super::request::Text;
use crate::harness::http::Response;

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Answer {
    status: u16,
    /// Statuses below 200 that came before.
    interim: Option<Vec<u16>>,
    /// By name, in any case: a value, several values, `null` for none, or a word of the matching.
    headers: Map<String, Value>,
    body: Option<Text>,
    /// The body's bytes in base64.
    bytes: Option<String>,
    json: Option<Value>,
    /// Parts of the body.
    contains: Vec<String>,
    /// Parts that it does not have.
    lacks: Vec<String>,
    /// The body breaks off.
    cut: bool,
    /// The connection ends after it.
    pub(super) closes: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            interim: None,
            headers: Map::new(),
            body: None,
            bytes: None,
            json: None,
            contains: Vec::new(),
            lacks: Vec::new(),
            cut: false,
            closes: false,
        }
    }
}

impl Answer {
    /// What is otherwise.
    pub(super) fn difference(&self, got: &Response) -> Option<String> {
        let text = String::from_utf8_lossy(&got.body);
        let told =
            || format!("{} {:?} {}", got.status, got.headers, text.chars().take(500).collect::<String>());
        let otherwise = |what: &str| Some(format!("{what} is otherwise: {}", told()));
        if got.status != self.status {
            return otherwise(&format!("status {}", self.status));
        }
        if got.is_cut != self.cut {
            return otherwise("cut");
        }
        if self.interim.as_ref().is_some_and(|interim| *interim != got.interim) {
            return otherwise(&format!("interim {:?}", got.interim));
        }
        let headers = Value::Object(headers(got));
        if let Some(difference) = difference(&self.expected_headers(), Some(&headers), "headers") {
            return otherwise(&difference);
        }
        let body = self.body.as_ref().map(|body| body.text().into_bytes());
        let bytes = self.bytes.as_ref().map(|bytes| STANDARD.decode(bytes).expect("base64"));
        if body.or(bytes).is_some_and(|body| body != got.body) {
            return otherwise("body");
        }
        if let Some(json) = &self.json {
            let parsed: Option<Value> = serde_json::from_slice(&got.body).ok();
            if let Some(difference) = difference(json, parsed.as_ref(), "json") {
                return otherwise(&difference);
            }
        }
        let lacking = self.contains.iter().find(|part| !text.contains(&***part));
        let unwanted = self.lacks.iter().find(|part| text.contains(&***part));
        lacking.or(unwanted).and_then(|part| otherwise(part))
    }

    /// Names in lower case; `null` is a header that is not there.
    fn expected_headers(&self) -> Value {
        let absent = json!({"$absent": true});
        let value = |value: &Value| if value.is_null() { absent.clone() } else { value.clone() };
        self.headers.iter().map(|(name, it)| (name.to_ascii_lowercase(), value(it))).collect()
    }

    /// This expectation with one part altered, for each part.
    pub(super) fn mutations(&self) -> Vec<Self> {
        let mut all =
            vec![Self { status: self.status ^ 1, ..self.clone() }, Self { cut: !self.cut, ..self.clone() }];
        for (name, value) in &self.headers {
            let others = if value.is_null() { vec![json!({"$text": "*"})] } else { mutations(value) };
            all.extend(others.into_iter().map(|other| {
                let mut altered = self.clone();
                altered.headers.insert(name.clone(), other);
                altered
            }));
        }
        if let Some(interim) = &self.interim {
            all.push(Self { interim: Some([&interim[..], &[199]].concat()), ..self.clone() });
        }
        if let Some(body) = &self.body {
            all.push(Self { body: Some(Text::Plain(body.text() + "!")), ..self.clone() });
        }
        if let Some(bytes) = &self.bytes {
            let bytes = [STANDARD.decode(bytes).expect("base64"), vec![0]].concat();
            all.push(Self { bytes: Some(STANDARD.encode(bytes)), ..self.clone() });
        }
        let json = self.json.iter().flat_map(mutations);
        all.extend(json.map(|json| Self { json: Some(json), ..self.clone() }));
        for i in 0..self.contains.len() {
            let mut altered = self.clone();
            altered.contains[i] = "\u{1}another".into();
            all.push(altered);
        }
        if !self.lacks.is_empty() {
            all.push(Self { lacks: vec![String::new()], ..self.clone() });
        }
        all
    }
}

/// A header that came once is its value, more often an array of them.
fn headers(got: &Response) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in &got.headers {
        match all.get_mut(name) {
            None => drop(all.insert(name.clone(), json!(value))),
            Some(Value::Array(values)) => values.push(json!(value)),
            Some(first) => *first = json!([first, value]),
        }
    }
    all
}
