//! The answer table as data: `vectors/*.json`, run through the real workers of every language.
//!
//! A file has a `style` (what the handler function looks like) and cases; a case has the body of a handler for
//! each language, or the reason why it has none, and what the caller is to get. Go's are answers in JSON.
//! Each part of each expectation is then altered, and the altered one has to fail: the runner can tell.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::harness::http::{Request, Response};
use crate::harness::{Language, Setup, Shim, each, free_port};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    style: Style,
    cases: Vec<Case>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Style {
    /// `function (event, context)`.
    Plain,
    /// `function (event, context, callback)`; only node has it.
    Callback,
    /// `async`: node's and python's.
    Async,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    handlers: BTreeMap<String, String>,
    /// Why a language has no handler here.
    #[serde(default)]
    skipped: BTreeMap<String, String>,
    expect: Expect,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: u16,
    /// `null`: the header is absent. Several values are joined by ` | `.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    body: Option<String>,
    /// The body's bytes in base64.
    bytes: Option<String>,
    json: Option<serde_json::Value>,
    /// A part of the body.
    contains: Option<String>,
}

impl Expect {
    /// What is otherwise.
    fn difference(&self, got: &Response) -> Option<String> {
        let otherwise = |what: &str| Some(format!("{what}: {got:?} {}", String::from_utf8_lossy(&got.body)));
        if got.status != self.status {
            return otherwise("status");
        }
        if let Some((name, _)) = self.headers.iter().find(|(name, value)| got.header(name) != **value) {
            return otherwise(name);
        }
        let body = self.body.as_ref().map(|body| body.as_bytes().to_vec());
        let bytes = self.bytes.as_ref().map(|bytes| STANDARD.decode(bytes).expect("base64"));
        if body.or(bytes).is_some_and(|body| body != got.body) {
            return otherwise("body");
        }
        let parsed = || serde_json::from_slice::<serde_json::Value>(&got.body).ok();
        if self.json.as_ref().is_some_and(|json| parsed().as_ref() != Some(json)) {
            return otherwise("json");
        }
        let text = String::from_utf8_lossy(&got.body);
        if self.contains.as_ref().is_some_and(|part| !text.contains(part)) {
            return otherwise("contains");
        }
        None
    }

    /// This expectation with one part altered, for each part.
    fn mutations(&self) -> Vec<Self> {
        let mut all = vec![Self { status: self.status ^ 1, ..self.clone() }];
        for name in self.headers.keys() {
            let mut other = self.clone();
            let value = other.headers.get_mut(name).expect("a header");
            *value = if value.is_some() { None } else { Some("x".into()) };
            all.push(other);
        }
        let longer = |text: &Option<String>| text.as_ref().map(|text| format!("{text}!"));
        if self.body.is_some() {
            all.push(Self { body: longer(&self.body), ..self.clone() });
        }
        if let Some(bytes) = &self.bytes {
            let bytes = [STANDARD.decode(bytes).expect("base64"), vec![0]].concat();
            all.push(Self { bytes: Some(STANDARD.encode(bytes)), ..self.clone() });
        }
        if let Some(json) = &self.json {
            all.push(Self { json: Some(serde_json::json!([json])), ..self.clone() });
        }
        if self.contains.is_some() {
            all.push(Self { contains: Some("\u{1}never".into()), ..self.clone() });
        }
        all
    }
}

/// One handler for all cases of a file: the request says which.
fn source(language: Language, file: &File) -> String {
    let cases = file.cases.iter().filter_map(|case| Some((&case.name, case.handlers.get(language.key())?)));
    let mut out = String::new();
    if language.key() == "node" {
        let (keyword, parameters) = match file.style {
            Style::Plain => ("", "event, context"),
            Style::Callback => ("", "event, context, callback"),
            Style::Async => ("async ", "event, context"),
        };
        out.push_str("const cases = {};\n");
        for (name, body) in cases {
            writeln!(out, "cases[{name:?}] = {keyword}function ({parameters}) {{ {body} }};").expect("text");
        }
        let call = "return cases[event.headers['X-Case']]";
        writeln!(out, "exports.handle = function ({parameters}) {{ {call}({parameters}); }};").expect("text");
        return out;
    }
    let keyword = if file.style == Style::Async { "async " } else { "" };
    let await_it = if file.style == Style::Async { "await " } else { "" };
    out.push_str("cases = {}\n");
    for (name, body) in cases {
        writeln!(out, "{keyword}def run(event, context):\n    {}", body.replace('\n', "\n    "))
            .expect("text");
        writeln!(out, "cases[{name:?}] = run").expect("text");
    }
    writeln!(out, "{keyword}def handle(event, context):").expect("text");
    writeln!(out, "    return {await_it}cases[event['headers']['X-Case']](event, context)").expect("text");
    out
}

fn start(language: Language, file: &File) -> Shim {
    match language {
        Language::GoHttp => Setup::new(language, "").set("SCW_UPSTREAM_PORT", &free_port()).start(),
        _ => Setup::new(language, &source(language, file)).start(),
    }
}

fn request(language: Language, case: &Case) -> Request {
    let request = Request::new("POST", "/").header("X-Case", &case.name).body("");
    match language {
        Language::GoHttp => request.header("X-Answer", &STANDARD.encode(&case.handlers["golang"])),
        _ => request,
    }
}

fn check(file: &str) {
    let file: File = serde_json::from_str(file).expect("a vector file");
    for case in &file.cases {
        for key in ["node", "python", "golang"] {
            let one_of_both = case.handlers.contains_key(key) != case.skipped.contains_key(key);
            assert!(one_of_both, "{}: {key} has a handler or a reason to have none", case.name);
        }
    }
    each([Language::framed(), vec![Language::GoHttp]].concat(), |language| {
        let cases = || file.cases.iter().filter(|case| case.handlers.contains_key(language.key()));
        if cases().next().is_none() {
            return;
        }
        let shim = start(language, &file);
        assert!(shim.ready.ready, "{language:?} {:?}", shim.ready);
        for case in cases() {
            let got = shim.call(request(language, case));
            let difference = case.expect.difference(&got);
            assert_eq!(difference, None, "{language:?}, {}", case.name);
            for altered in case.expect.mutations() {
                assert!(altered.difference(&got).is_some(), "{}: an altered expectation passes", case.name);
            }
        }
    });
}

#[test]
fn envelopes() {
    check(include_str!("../../vectors/envelope.json"));
}

#[test]
fn bodies() {
    check(include_str!("../../vectors/body.json"));
}

#[test]
fn plain_values() {
    check(include_str!("../../vectors/plain.json"));
}

#[test]
fn headers() {
    check(include_str!("../../vectors/headers.json"));
}

#[test]
fn answers_that_http_cannot_carry() {
    check(include_str!("../../vectors/malformed.json"));
}

#[test]
fn errors() {
    check(include_str!("../../vectors/errors.json"));
}

#[test]
fn callbacks() {
    check(include_str!("../../vectors/callback.json"));
}

#[test]
fn promises_and_coroutines() {
    check(include_str!("../../vectors/async.json"));
}
