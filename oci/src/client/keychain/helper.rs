//! Helper programs that keep credentials: `docker-credential-<name> get`, the registry on standard input.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::KeychainError;
use crate::client::credentials::Credentials;

/// What helpers say when they have nothing.
const NOT_FOUND: &str = "credentials not found";
/// The user's name when the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// Bytes of a helper's words that make it into an error.
const WORDS: usize = 300;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// Asks a helper from the PATH.
pub(super) fn ask(name: &str, registry: &str) -> Result<Option<Credentials>, KeychainError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(is_plain) {
        let reason = "that is no name of a helper".to_owned();
        return Err(KeychainError::Helper { name: name.to_owned(), registry: registry.to_owned(), reason });
    }
    run(Path::new(&format!("docker-credential-{name}")), name, registry)
}

/// Runs the program; `None` when it has no credentials for the registry.
pub(super) fn run(program: &Path, name: &str, registry: &str) -> Result<Option<Credentials>, KeychainError> {
    let failed = |reason: String| KeychainError::Helper {
        name: name.to_owned(),
        registry: registry.to_owned(),
        reason,
    };
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input says why in its answer.
        let _ = stdin.write_all(registry.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let words = [output.stdout, output.stderr].concat();
        let words = String::from_utf8_lossy(&words[..words.len().min(WORDS)]).trim().to_owned();
        return if words.contains(NOT_FOUND) { Ok(None) } else { Err(failed(words)) };
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("its answer is no JSON of the expected form".to_owned()))?;
    Ok(match answer {
        Answer { secret, .. } if secret.is_empty() => None,
        Answer { username, secret } if username == TOKEN_USER => {
            Some(Credentials::Identity { token: secret })
        }
        Answer { username, secret } => Some(Credentials::Basic { user: username, password: secret }),
    })
}
