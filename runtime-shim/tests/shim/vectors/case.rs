//! A vector file, as `vectors/README.md` describes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::answer::Answer;
use super::request::Request;
use super::token::Token;

/// A file as it was read; what it says to one language is a [`Case`].
pub(super) struct Vector {
    /// `topic/case`.
    pub(super) name: String,
    json: Value,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) rule: String,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(super) access: Access,
    #[serde(default)]
    pub(super) listen: Listen,
    /// Has a shim of its own, since it harms the worker or counts what came before.
    #[serde(default)]
    pub(super) alone: bool,
    #[serde(default)]
    pub(super) style: Style,
    #[serde(default, deserialize_with = "given")]
    pub(super) returns: Option<Value>,
    #[serde(default)]
    pub(super) handlers: BTreeMap<String, Handler>,
    /// The whole function, by language: file name and text. Nothing is recorded then.
    #[serde(default)]
    pub(super) files: BTreeMap<String, BTreeMap<String, Lines>>,
    #[serde(default)]
    pub(super) skipped: BTreeMap<String, String>,
    pub(super) start: Option<Start>,
    /// The calls go over one connection.
    #[serde(default)]
    pub(super) keep_alive: bool,
    request: Option<Request>,
    token: Option<Token>,
    #[serde(default, deserialize_with = "given")]
    event: Option<Value>,
    context: Option<Value>,
    answer: Option<Answer>,
    #[serde(default)]
    then: Vec<Answer>,
    #[serde(default)]
    logged: Vec<Logged>,
    #[serde(default)]
    calls: Vec<Call>,
}

/// One request, and what comes of it.
#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) request: Request,
    pub(super) token: Option<Token>,
    /// `null`: no handler saw it.
    #[serde(default, deserialize_with = "given")]
    pub(super) event: Option<Value>,
    pub(super) context: Option<Value>,
    #[serde(default)]
    pub(super) answer: Answer,
    /// More answers on the same connection.
    #[serde(default)]
    pub(super) then: Vec<Answer>,
    #[serde(default)]
    pub(super) logged: Vec<Logged>,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Access {
    #[default]
    Public,
    /// With the key, namespace and application of [`super::token`].
    Private,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Listen {
    /// An inherited Unix socket, as behind the gateway.
    #[default]
    Unix,
    /// An inherited TCP socket.
    Tcp,
    /// A port of the shim's own.
    Port,
}

/// What the handler function looks like.
#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Style {
    #[default]
    Plain,
    Callback,
    Async,
    Generator,
    AsyncGenerator,
    Streamify,
}

/// One line, or several.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum Lines {
    One(String),
    Many(Vec<String>),
}

impl Lines {
    pub(super) fn text(&self) -> String {
        match self {
            Self::One(line) => line.clone(),
            Self::Many(lines) => lines.join("\n"),
        }
    }
}

/// The body of a function, or what a Go program does.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum Handler {
    Source(Lines),
    Golang(Value),
}

/// What is said when the shim starts; without `exit` it goes on.
#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Start {
    pub(super) exit: Option<i32>,
    /// Parts of standard error.
    pub(super) message: Vec<String>,
    /// How many lines it has.
    pub(super) lines: Option<usize>,
    pub(super) ready: Option<bool>,
    /// Parts of the ready line's error.
    pub(super) error: Vec<String>,
    pub(super) max_concurrency: Option<u32>,
}

/// A log record: a part of its line, and what else is known.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Logged {
    pub(super) line: String,
    pub(super) stream: Option<String>,
    pub(super) request_id: Option<String>,
}

/// Tells `null` from what is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Vector {
    fn read(root: &Path, path: &Path) -> Self {
        let name = path.strip_prefix(root).expect("below the root").with_extension("");
        let name = name.to_str().expect("text").to_owned();
        let text = std::fs::read_to_string(path).expect("a file");
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, json }
    }

    /// What it says to the language for which `applies` is true of a selector (`node`, `python<3`).
    pub(super) fn case(&self, applies: impl Fn(&str) -> bool) -> Case {
        let mut json = self.json.clone();
        let differs = json.as_object_mut().and_then(|json| json.remove("differs"));
        for (selector, other) in differs.as_ref().and_then(Value::as_object).into_iter().flatten() {
            if applies(selector) {
                merge(&mut json, other);
            }
        }
        serde_json::from_value(json).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// What it says before any language has its say.
    pub(super) fn plain(&self) -> Case {
        self.case(|_| false)
    }

    /// The selectors that it names.
    pub(super) fn selectors(&self) -> Vec<String> {
        let keys = |name: &str| {
            let object = self.json.get(name).and_then(Value::as_object);
            object.into_iter().flat_map(|object| object.keys().cloned()).collect::<Vec<_>>()
        };
        [keys("skipped"), keys("differs")].concat()
    }
}

fn merge(into: &mut Value, other: &Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (key, value) in other {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, other) => *into = other.clone(),
    }
}

impl Case {
    /// Its calls, in order. A case that only starts has none.
    pub(super) fn calls(&self) -> Vec<Call> {
        if !self.calls.is_empty() {
            return self.calls.clone();
        }
        let says_nothing = self.request.is_none() && self.answer.is_none() && self.event.is_none();
        if self.start.is_some() && says_nothing {
            return Vec::new();
        }
        vec![Call {
            request: self.request.clone().unwrap_or_default(),
            token: self.token.clone(),
            event: self.event.clone(),
            context: self.context.clone(),
            answer: self.answer.clone().unwrap_or_default(),
            then: self.then.clone(),
            logged: self.logged.clone(),
        }]
    }

    /// What all languages answer that have no handler of their own here.
    pub(super) fn returned(&self) -> Option<Value> {
        if !self.handlers.is_empty() {
            return self.returns.clone();
        }
        Some(self.returns.clone().unwrap_or_else(|| serde_json::json!({"statusCode": 200, "body": "ok"})))
    }
}

/// The folder of the files.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Every file of every topic, in order.
pub(super) fn all() -> Vec<Vector> {
    let entries = |folder: &Path| {
        let found = std::fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<_> = found.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let topics = entries(&root()).into_iter().filter(|path| path.is_dir());
    let files = topics.flat_map(|topic| entries(&topic));
    files.map(|path| Vector::read(&root(), &path)).collect()
}
