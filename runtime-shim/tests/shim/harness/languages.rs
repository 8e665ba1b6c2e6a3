//! The interpreters and the Go programs of the tests. One that is missing fails the test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Node,
    /// The node that `ZIPSHIP_TEST_NODE` names: an old one.
    OldNode,
    Python,
    /// A program that serves the HTTP form.
    GoHttp,
    /// A program with `aws-lambda-go`.
    GoLambda,
}

impl Language {
    /// Those that have a worker program.
    pub(crate) fn framed() -> Vec<Self> {
        let mut all = vec![Self::Node, Self::Python];
        all.extend(std::env::var_os("ZIPSHIP_TEST_NODE").map(|_| Self::OldNode));
        all
    }

    /// As vector files name it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Node | Self::OldNode => "node",
            Self::Python => "python",
            Self::GoHttp | Self::GoLambda => "golang",
        }
    }

    pub(super) fn shim_name(self) -> &'static str {
        self.key()
    }

    pub(super) fn handler_file(self) -> Option<&'static str> {
        match self.key() {
            "node" => Some("handler.js"),
            "python" => Some("handler.py"),
            _ => None,
        }
    }

    pub(crate) fn interpreter(self) -> PathBuf {
        static PYTHON: OnceLock<PathBuf> = OnceLock::new();
        match self {
            Self::OldNode => std::env::var_os("ZIPSHIP_TEST_NODE").expect("ZIPSHIP_TEST_NODE").into(),
            Self::Python => PYTHON
                .get_or_init(|| {
                    // What is on the PATH may be a script that looks for the interpreter.
                    let found =
                        output(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]));
                    PathBuf::from(String::from_utf8(found.stdout).expect("a path").trim())
                })
                .clone(),
            _ => "node".into(),
        }
    }

    /// The worker's command line, as a base image has it.
    pub(super) fn worker(self) -> Option<String> {
        let workers = concat!(env!("CARGO_MANIFEST_DIR"), "/workers");
        let interpreter = self.interpreter();
        let interpreter = interpreter.to_str().expect("text");
        let command = match self.key() {
            "node" => vec![interpreter, concat!(env!("CARGO_MANIFEST_DIR"), "/workers/node/worker.js")],
            "python" => {
                vec![interpreter, "-u", concat!(env!("CARGO_MANIFEST_DIR"), "/workers/python/worker.py")]
            }
            _ => return None,
        };
        assert!(std::path::Path::new(workers).is_dir());
        Some(serde_json::to_string(&command).expect("JSON"))
    }

    /// The compiled Go program.
    pub(crate) fn program(self) -> &'static PathBuf {
        static HTTP: OnceLock<PathBuf> = OnceLock::new();
        static LAMBDA: OnceLock<PathBuf> = OnceLock::new();
        match self {
            Self::GoLambda => LAMBDA.get_or_init(|| compile("lambda")),
            _ => HTTP.get_or_init(|| compile("http")),
        }
    }
}

fn compile(name: &str) -> PathBuf {
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("go-{name}"));
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-o"]).arg(&program).arg(".");
    go.env("CGO_ENABLED", "0");
    go.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/golang").to_owned() + "/" + name);
    let built = output(&mut go);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}
