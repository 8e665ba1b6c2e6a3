//! The handlers of `handlers-examples/`, each with its expected answers in `example.json`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::{Answer, Function, Spec, Zip, place::root};

/// A handler that a user would copy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Runtime's name.
    pub runtime: String,
    /// Handler string.
    pub handler: String,
    /// Requests and what they are answered.
    pub calls: Vec<Call>,
    #[serde(skip)]
    folder: PathBuf,
}

/// A request and its answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    request: ExampleRequest,
    answer: ExampleAnswer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleRequest {
    method: String,
    path: String,
    #[serde(default)]
    body: String,
    /// Instead of `body`: bytes that are no text.
    body_base64: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleAnswer {
    status: u16,
    /// These must be there; others may be.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_base64: Option<String>,
    /// Compared as JSON: order and spaces are the language's affair.
    json: Option<Value>,
}

impl Example {
    /// `node/echo` for example.
    ///
    /// # Errors
    /// When there is no such example.
    pub fn read(name: &str) -> anyhow::Result<Self> {
        let folder = root().join("handlers-examples").join(name);
        let text = fs::read(folder.join("example.json")).with_context(|| folder.display().to_string())?;
        let example: Self = serde_json::from_slice(&text).with_context(|| folder.display().to_string())?;
        Ok(Self { folder, ..example })
    }

    /// Names of all examples of a language's folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(language: &str) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(root().join("handlers-examples").join(language))? {
            names.push(format!("{language}/{}", entry?.file_name().to_string_lossy()));
        }
        names.sort();
        Ok(names)
    }

    /// How to create it.
    #[must_use]
    pub fn spec(&self) -> Spec<'_> {
        Spec { runtime: &self.runtime, handler: &self.handler, privacy: "public" }
    }

    /// The archive that a user would upload.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn archive(&self) -> anyhow::Result<Zip> {
        Zip::of_folder(&self.folder)
    }
}

impl Call {
    /// Makes the request and compares the answer.
    ///
    /// # Errors
    /// When nobody answers, or something else comes back; the message shows both.
    pub async fn check(&self, function: &Function) -> anyhow::Result<()> {
        let method = Method::from_bytes(self.request.method.as_bytes())?;
        let body = bytes(&self.request.body, self.request.body_base64.as_deref())?;
        let answer = Answer::of(function.request(method, &self.request.path).body(body)).await?;
        self.compare(&answer).with_context(|| {
            format!(
                "{} {} was answered {}: {}",
                self.request.method,
                self.request.path,
                answer.status,
                answer.text()
            )
        })
    }

    fn compare(&self, answer: &Answer) -> anyhow::Result<()> {
        let expected = &self.answer;
        ensure!(answer.status == expected.status, "expected status {}", expected.status);
        for (name, value) in &expected.headers {
            ensure!(
                answer.header(name) == *value,
                "expected {name}: {value}, found {:?}",
                answer.header(name)
            );
        }
        if expected.body.is_some() || expected.body_base64.is_some() {
            let body = bytes(expected.body.as_deref().unwrap_or_default(), expected.body_base64.as_deref())?;
            ensure!(answer.body == body, "expected body {:?}", String::from_utf8_lossy(&body));
        }
        if let Some(json) = &expected.json {
            ensure!(answer.json() == *json, "expected body {json}");
        }
        Ok(())
    }
}

fn bytes(text: &str, base64: Option<&str>) -> anyhow::Result<Vec<u8>> {
    match base64 {
        Some(base64) => Ok(STANDARD.decode(base64)?),
        None => Ok(text.as_bytes().to_vec()),
    }
}
