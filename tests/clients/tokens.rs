//! The libraries with which others prove and sign tokens, for the tests of whoever issues or checks tokens.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A library's name, and the command that prints a JSON list with what came of each of `tasks`
/// (`pyjwt/tokens.py` says what they are). `scripts/setup test` has installed all of them in `clients`.
pub(crate) fn commands(clients: &Path, interpreters: &Path, tasks: &Value) -> [(&'static str, Command); 3] {
    let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/clients"));
    let mut python = Command::new(interpreters.join("python313/bin/python"));
    python.env("PYTHONPATH", clients.join("pyjwt")).env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(sources.join("pyjwt/tokens.py"));
    let mut node = Command::new(interpreters.join("node24/bin/node"));
    node.env("NODE_PATH", clients.join("jsonwebtoken/node_modules"));
    node.arg(sources.join("jsonwebtoken/tokens.js"));
    let go = Command::new(clients.join("golang-jwt/golang-jwt"));
    [("PyJWT", python), ("jsonwebtoken", node), ("golang-jwt", go)].map(|(name, mut command)| {
        command.arg(tasks.to_string());
        (name, command)
    })
}

/// What a command printed: one answer for each task.
pub(crate) fn answers(name: &str, output: &std::process::Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {said}"))
}
