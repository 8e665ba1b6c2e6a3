//! The shared cases of `tests/instance/vectors/`: one file is one request, a handler in each language that can express it, and the
//! answer that is expected of all of them. A new case is a new file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    http::Answer,
    world::{Language, Plan},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    #[serde(default)]
    request: Request,
    /// Handler source by language.
    handlers: BTreeMap<String, String>,
    /// Languages that cannot express it, each with the reason.
    #[serde(default)]
    skipped: BTreeMap<String, String>,
    answer: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    body_hex: String,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: String::new(),
            body_hex: String::new(),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expected {
    status: u16,
    /// Values of these headers, all lines of each, in order; an empty list: not there.
    headers: BTreeMap<String, Vec<String>>,
    body: Option<String>,
    body_hex: Option<String>,
    /// The body is JSON that has at least this in it.
    json: Option<Value>,
    /// The body is JSON of an object with exactly these keys.
    keys: Option<Vec<String>>,
}

#[test]
fn every_vector_holds_in_every_language() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instance/vectors"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
    files.sort();
    assert!(files.len() >= 30, "only {} vectors", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let vector: Vector = serde_json::from_slice(&fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for language in Language::ALL {
            let language_name = language.name();
            match (vector.handlers.get(language_name), vector.skipped.get(language_name)) {
                (Some(code), None) => {
                    let answer = ask(language, code, &vector.request);
                    if let Err(why) = compare(&vector.answer, &answer) {
                        wrong.push(format!(
                            "{name} in {language_name}: {why}\n  {answer:?}\n  {}",
                            answer.text()
                        ));
                    }
                    refuses_mutations(&name, &vector.answer, &answer);
                }
                (None, Some(reason)) => println!("{name} skips {language_name}: {reason}"),
                _ => panic!("{name}: {language_name} needs either a handler or a reason"),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn ask(language: Language, code: &str, request: &Request) -> Answer {
    let mut shim = Plan::new(language, code).inherited();
    let ready = shim.ready();
    assert!(ready.ready, "{ready:?}");
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = if request.body_hex.is_empty() {
        request.body.clone().into_bytes()
    } else {
        unhex(&request.body_hex)
    };
    shim.call(&request.method, &request.path, &headers, &body)
}

/// A check that cannot fail proves nothing: another status and another body must be refused.
fn refuses_mutations(name: &str, expected: &Expected, answer: &Answer) {
    let other = Expected { status: expected.status + 1, ..expected.clone() };
    assert!(compare(&other, answer).is_err(), "{name}: another status passes");
    let other = Expected { body_hex: Some("00ff00".to_owned()), ..expected.clone() };
    assert!(compare(&other, answer).is_err(), "{name}: another body passes");
}

fn compare(expected: &Expected, answer: &Answer) -> Result<(), String> {
    same("status", &expected.status, &answer.status)?;
    for (name, values) in &expected.headers {
        same(name, &values.iter().map(String::as_str).collect::<Vec<_>>(), &answer.all(name))?;
    }
    if let Some(body) = &expected.body {
        same("body", &body.as_bytes(), &answer.body.as_slice())?;
    }
    if let Some(hex) = &expected.body_hex {
        same("body", &unhex(hex), &answer.body)?;
    }
    if expected.json.is_none() && expected.keys.is_none() {
        return Ok(());
    }
    let found: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    if let Some(json) = &expected.json {
        within("body", json, &found)?;
    }
    if let Some(keys) = &expected.keys {
        let found = found.as_object().ok_or("the body is no object")?;
        let found: Vec<&str> = found.keys().map(String::as_str).collect();
        let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        keys.sort_unstable();
        same("keys", &keys, &found)?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what} is {found:?}, not {expected:?}")) }
}

/// Every key of `expected` is in `found` with the same value; arrays and scalars are equal.
fn within(place: &str, expected: &Value, found: &Value) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().try_for_each(|(key, value)| {
            let place = format!("{place}.{key}");
            within(&place, value, found.get(key).ok_or_else(|| format!("{place} is missing"))?)
        }),
        _ => same(place, expected, found),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
