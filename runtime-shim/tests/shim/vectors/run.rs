//! A group is run: one shim, its cases in order, what came compared with what was expected.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::case::{Call, Listen, Logged, Start};
use super::group::{Group, Pair};
use super::matching::{difference, mutations};
use super::source::{self, Body};
use super::token::Made;
use crate::harness::http::{Connection, Response};
use crate::harness::{Language, Setup, Shim, free_port, go, output};

/// What is otherwise, one line each.
pub(super) fn group(group: Group) -> Vec<String> {
    let start = group.pairs[0].case.start.clone();
    if let Some(start) = start.as_ref().filter(|start| start.exit.is_some()) {
        return named(&group.pairs[0], ends(start, setup(&group)));
    }
    let shim = match group.listen() {
        Listen::Unix => setup(&group).start(),
        Listen::Tcp => setup(&group).start_on_tcp(),
        Listen::Port => setup(&group).start_on_port(),
    };
    let begun = start.unwrap_or(Start { ready: Some(true), ..Start::default() });
    let mut failures = named(&group.pairs[0], ready(&begun, &shim));
    for pair in &group.pairs {
        failures.extend(named(pair, told(pair, &shim)));
    }
    failures
}

/// What is otherwise in a case; with what the shim said last where the harness gave up.
fn told(pair: &Pair, shim: &Shim) -> Vec<String> {
    let stopped = "it stopped";
    let mut failures = super::guarded(stopped, || case(pair, shim));
    if failures.first().is_some_and(|failure| failure.starts_with(stopped)) {
        let log = shim.all_logged();
        failures.extend(log.iter().rev().take(10).rev().map(|record| format!("  log: {}", record.line)));
    }
    failures
}

fn named(pair: &Pair, failures: Vec<String>) -> Vec<String> {
    failures.iter().map(|failure| format!("{} in {}: {failure}", pair.name, pair.runtime.name())).collect()
}

fn setup(group: &Group) -> Setup {
    let (language, key) = (group.runtime.language, group.runtime.key());
    let first = &group.pairs[0].case;
    let sources = group.pairs.iter().filter_map(|pair| match pair.body() {
        Some(Body::Source(body)) => Some((pair.name.clone(), body)),
        _ => None,
    });
    let mut setup = match first.files.get(key) {
        None if key == "golang" => Setup::new(language, "").program(program().clone()),
        None => Setup::new(language, &source::file(key, group.style(), &sources.collect::<Vec<_>>())),
        Some(files) => {
            files.iter().fold(Setup::new(language, ""), |s, (name, text)| s.file(name, &text.text()))
        }
    };
    if key == "golang" {
        let form = if language == Language::GoHttp { "http" } else { "lambda" };
        setup = setup.set("VECTORS_FORM", form).set("SCW_UPSTREAM_PORT", &free_port());
    }
    for (name, value) in first.settings() {
        setup = match value {
            Some(value) => setup.set(&name, &value),
            None => setup.unset(&name),
        };
    }
    setup
}

/// The Go program, in both forms.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("go-vectors");
        let mut go = go();
        go.args(["build", "-trimpath", "-o"]).arg(&program).arg(".");
        let built = output(go.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/golang/vectors")));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        program
    })
}

/// A shim that refuses to start.
fn ends(expected: &Start, setup: Setup) -> Vec<String> {
    let (status, _, stderr) = setup.start_plain().ended();
    let lines = stderr.lines().count();
    let mut failures = Vec::new();
    if status.code() != expected.exit {
        failures.push(format!("it ended with {:?}: {stderr}", status.code()));
    }
    let lacking = expected.message.iter().filter(|part| !stderr.contains(&***part));
    failures.extend(lacking.map(|part| format!("it does not say {part:?}: {stderr}")));
    if expected.lines.is_some_and(|expected| expected != lines) {
        failures.push(format!("it said {lines} lines: {stderr}"));
    }
    failures
}

fn ready(expected: &Start, shim: &Shim) -> Vec<String> {
    let said = &shim.ready;
    let error = said.error.as_deref().unwrap_or_default();
    let is_met = expected.ready.is_none_or(|ready| ready == said.ready)
        && expected.error.iter().all(|part| error.contains(&**part))
        && expected.max_concurrency.is_none_or(|number| number == said.max_concurrency);
    if is_met { Vec::new() } else { vec![format!("the ready line is otherwise: {said:?}")] }
}

/// All calls of a case.
fn case(pair: &Pair, shim: &Shim) -> Vec<String> {
    let mut failures = Vec::new();
    let mut kept = None;
    for (number, call) in pair.case.calls().iter().enumerate() {
        tell(pair, shim);
        let seen = shim.code().join("seen");
        drop(std::fs::remove_file(&seen));
        let log = shim.log_length();
        let token = call.token.as_ref().map(super::token::Token::make);
        let connection = kept.take().unwrap_or_else(|| shim.connect().expect("a listener"));
        let (answers, mut connection) = exchange(connection, call, token.as_deref());
        let is_wanted = call.event.is_some() || call.context.is_some();
        let seen = is_wanted.then(|| read(&seen)).flatten();
        let mut found = Outcome { shim, log, seen, answers, token }.differences(call);
        if call.answer.closes && !connection.closes() {
            found.push("the connection stays open".into());
        }
        if pair.case.keep_alive {
            kept = Some(connection);
        }
        failures.extend(found.into_iter().map(|failure| format!("call {number}: {failure}")));
    }
    failures
}

/// Names the case to the function that will be called.
fn tell(pair: &Pair, shim: &Shim) {
    let text = match pair.body() {
        Some(Body::Golang(does)) => does.to_string(),
        _ => pair.name.clone(),
    };
    std::fs::write(shim.code().join("case"), text).expect("a file");
}

fn exchange(connection: Connection, call: &Call, token: Option<&Made>) -> (Vec<Response>, Connection) {
    let method = call.request.method();
    let (first, mut connection) = connection.raw(&call.request.bytes(token), &method).response_and_rest();
    let mut answers = vec![first];
    answers.extend(call.then.iter().map(|_| connection.next("GET")));
    (answers, connection)
}

/// What the handler noted: `{event, context}`.
fn read(seen: &std::path::Path) -> Option<Value> {
    let text = std::fs::read_to_string(seen).ok()?;
    text.lines().next().map(|line| serde_json::from_str(line).expect("JSON"))
}

/// What came of a call.
struct Outcome<'a> {
    shim: &'a Shim,
    /// Log records that there were before.
    log: usize,
    seen: Option<Value>,
    answers: Vec<Response>,
    token: Option<Arc<Made>>,
}

impl Outcome<'_> {
    fn differences(&self, call: &Call) -> Vec<String> {
        let mut failures = Vec::new();
        for (expected, got) in std::iter::once(&call.answer).chain(&call.then).zip(&self.answers) {
            failures.extend(expected.difference(got));
            let passing = expected.mutations().into_iter().filter(|other| other.difference(got).is_none());
            failures.extend(passing.map(|_| "an altered answer passes".to_owned()));
        }
        match &call.event {
            Some(Value::Null) => {
                failures.extend(self.seen.as_ref().map(|seen| format!("a handler saw {seen}")))
            }
            Some(event) => failures.extend(self.compare(event, "event")),
            None => {}
        }
        failures.extend(call.context.iter().flat_map(|context| self.compare(context, "context")));
        failures.extend(call.logged.iter().filter_map(|logged| self.logs(logged)));
        failures
    }

    fn compare(&self, expected: &Value, part: &str) -> Vec<String> {
        let got = self.seen.as_ref().and_then(|seen| seen.get(part));
        let passing = mutations(expected).into_iter().filter(|other| difference(other, got, part).is_none());
        let passing = passing.map(|other| format!("an altered {part} passes: {other}"));
        difference(expected, got, part).into_iter().chain(passing).collect()
    }

    fn logs(&self, logged: &Logged) -> Option<String> {
        let line = self.token.as_ref().map_or_else(|| logged.line.clone(), |token| token.fill(&logged.line));
        let record = match self.shim.logged_after(self.log, &line) {
            Ok(record) => record,
            Err(records) => return Some(format!("no {logged:?} in {records:?}")),
        };
        let stream = serde_json::to_value(record.stream).expect("JSON");
        let is_met = logged.stream.as_ref().is_none_or(|expected| stream == **expected)
            && (logged.request_id.is_none() || logged.request_id == record.request_id);
        (!is_met).then(|| format!("{logged:?} is otherwise: {record:?}"))
    }
}
