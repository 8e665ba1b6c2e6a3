//! One handler file for all cases of a group. The case that is next is named in the file `case` beside it; what the
//! function is told is written to the file `seen`, one line an invocation.

use std::fmt::Write;

use super::case::{Case, Handler, Style};

/// What the handler of a case does, in a language.
pub(super) enum Body {
    /// The body of a function.
    Source(String),
    /// What the Go program is told to do.
    Golang(serde_json::Value),
}

/// `None` when it has none in this language.
pub(super) fn body(case: &Case, key: &str) -> Option<Body> {
    if let Some(handler) = case.handlers.get(key) {
        return Some(match handler {
            Handler::Source(lines) if key == "golang" => {
                Body::Golang(serde_json::json!({"answer": lines.text()}))
            }
            Handler::Source(lines) => Body::Source(lines.text()),
            Handler::Golang(does) => Body::Golang(does.clone()),
        });
    }
    let returned = case.returned()?;
    // ASCII: the same text is JavaScript and, between quotes, Python.
    let json = ascii(&returned.to_string());
    Some(match key {
        "node" => Body::Source(format!("return {json};")),
        "python" => Body::Source(format!("return json.loads({})", python_text(&json))),
        _ => Body::Golang(serde_json::json!({"answer": json})),
    })
}

fn ascii(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").expect("text");
            }
        }
    }
    out
}

fn python_text(json: &str) -> String {
    format!("'{}'", json.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The handler file: name of the case and body of its function.
pub(super) fn file(key: &str, style: Style, cases: &[(String, String)]) -> String {
    if key == "node" { node(style, cases) } else { python(style, cases) }
}

const NODE: &str = "'use strict';
const fs = require('fs');
const path = require('path');
function told(context) {
  const out = {};
  for (const name in context) out[name] = typeof context[name] === 'function' ? 'function' : context[name];
  ['done', 'succeed', 'fail'].forEach(function (name) { if (name in context) out[name] = 'function'; });
  out.remaining = context.getRemainingTimeInMillis();
  return out;
}
function chosen(event, context) {
  const line = JSON.stringify({event: event, context: told(context)});
  fs.appendFileSync(path.join(__dirname, 'seen'), line + '\\n');
  return cases[fs.readFileSync(path.join(__dirname, 'case'), 'utf8')];
}
const cases = {};
";

fn node(style: Style, cases: &[(String, String)]) -> String {
    let (keyword, parameters) = match style {
        Style::Plain | Style::Generator => ("function", "event, context"),
        Style::Callback => ("function", "event, context, callback"),
        Style::Async => ("async function", "event, context"),
        Style::AsyncGenerator => ("async function*", "event, context"),
        Style::Streamify => ("async function", "event, stream, context"),
    };
    let keyword = if style == Style::Generator { "function*" } else { keyword };
    let mut out = NODE.to_owned();
    for (name, body) in cases {
        writeln!(out, "cases[{name:?}] = {keyword} ({parameters}) {{ {body}\n}};").expect("text");
    }
    let handle = format!("function ({parameters}) {{ return chosen(event, context)({parameters}); }}");
    let handle =
        if style == Style::Streamify { format!("awslambda.streamifyResponse({handle})") } else { handle };
    writeln!(out, "exports.handle = {handle};").expect("text");
    out
}

const PYTHON: &str = "# -*- coding: utf-8 -*-
import json
import os
HERE = os.path.dirname(os.path.abspath(__file__))
def told(context):
    out = dict(context)
    for name in dir(context):
        if not name.startswith('_') and not hasattr(dict, name):
            value = getattr(context, name)
            out[name] = 'function' if callable(value) else value
    out['remaining'] = context.get_remaining_time_in_millis()
    return out
def chosen(event, context):
    with open(os.path.join(HERE, 'seen'), 'a') as seen:
        seen.write(json.dumps({'event': event, 'context': told(context)}, default=str) + '\\n')
    with open(os.path.join(HERE, 'case')) as case:
        return cases[case.read()]
cases = {}
";

fn python(style: Style, cases: &[(String, String)]) -> String {
    let keyword = if matches!(style, Style::Async | Style::AsyncGenerator) { "async def" } else { "def" };
    let mut out = PYTHON.to_owned();
    for (name, body) in cases {
        let body = if body.is_empty() { "pass" } else { body }.replace('\n', "\n    ");
        writeln!(out, "{keyword} run(event, context):\n    {body}\ncases[{name:?}] = run").expect("text");
    }
    let (keyword, wait) = if style == Style::Async { ("async def", "await ") } else { ("def", "") };
    writeln!(out, "{keyword} handle(event, context):").expect("text");
    writeln!(out, "    return {wait}chosen(event, context)(event, context)").expect("text");
    out
}
