//! The interpreters and the Go programs of the tests. One that is missing fails the test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// The newest node, where one is enough.
    Node,
    /// Another of node's release lines.
    NodeLine(u8),
    /// The python of `python3`, where one is enough.
    Python,
    /// Another python, by the name of its runtime.
    PythonLine(&'static str),
    /// A program that serves the HTTP form.
    GoHttp,
    /// A program with `aws-lambda-go`.
    GoLambda,
    /// The same with a version of it that takes one invocation at a time, whatever it is asked for.
    GoLambdaOfOne,
    /// A program of another language that speaks the Runtime API: Rust's, with `lambda_http`.
    LambdaHttp,
}

/// The line of [`Language::Node`].
const NEWEST_NODE: u8 = 24;

impl Language {
    /// Those that have a worker program.
    pub(crate) fn framed() -> Vec<Self> {
        [Self::nodes(), Self::pythons()].concat()
    }

    /// The ends of the range, for checks that cost much.
    pub(crate) fn oldest_and_newest() -> Vec<Self> {
        vec![Self::NodeLine(8), Self::Node, Self::PythonLine("python"), Self::PythonLine("python313")]
    }

    pub(crate) fn oldest_and_newest_nodes() -> Vec<Self> {
        vec![Self::NodeLine(8), Self::Node]
    }

    /// Every node that there is a base image of, the oldest first.
    pub(crate) fn nodes() -> Vec<Self> {
        let older = [8, 10, 12, 14, 16, 18, 20, 22].map(Self::NodeLine);
        older.into_iter().chain([Self::Node]).collect()
    }

    /// Every python that there is a base image of, the oldest first.
    pub(crate) fn pythons() -> Vec<Self> {
        [vec![Self::PythonLine("python")], Self::pythons_3()].concat()
    }

    /// Those that have coroutines.
    pub(crate) fn pythons_3() -> Vec<Self> {
        vec![Self::PythonLine("python39"), Self::Python, Self::PythonLine("python313")]
    }

    /// As vector files name it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Node | Self::NodeLine(_) => "node",
            Self::Python | Self::PythonLine(_) => "python",
            Self::GoHttp | Self::GoLambda | Self::GoLambdaOfOne | Self::LambdaHttp => "golang",
        }
    }

    /// Node's line: what a version has may depend on it.
    pub(crate) fn node_line(self) -> Option<u8> {
        match self {
            Self::Node => Some(NEWEST_NODE),
            Self::NodeLine(line) => Some(line),
            _ => None,
        }
    }

    pub(super) fn shim_name(self) -> &'static str {
        self.key()
    }

    /// Variables of its base image that its programs notice.
    pub(super) fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Python | Self::PythonLine(_) => &[("LANG", "C.UTF-8"), ("PYTHONIOENCODING", "utf-8")],
            _ => &[],
        }
    }

    pub(super) fn handler_file(self) -> Option<&'static str> {
        match self.key() {
            "node" => Some("handler.js"),
            "python" => Some("handler.py"),
            _ => None,
        }
    }

    pub(crate) fn interpreter(self) -> PathBuf {
        match self {
            Self::Node | Self::NodeLine(_) => {
                let runtime = format!("node{}", self.node_line().expect("a node"));
                installed(&runtime).join("bin/node")
            }
            Self::Python => installed("python311").join("bin/python"),
            Self::PythonLine(runtime) => installed(runtime).join("bin/python"),
            _ => panic!("a compiled program has no interpreter"),
        }
    }

    /// The worker's command line, as a base image has it.
    pub(super) fn worker(self) -> Option<String> {
        let workers = concat!(env!("CARGO_MANIFEST_DIR"), "/workers");
        let command = |arguments: &[&str]| {
            let interpreter = self.interpreter();
            let interpreter = interpreter.to_str().expect("text");
            serde_json::to_string(&[&[interpreter], arguments].concat()).expect("JSON")
        };
        match self.key() {
            "node" => Some(command(&["--use-openssl-ca", &format!("{workers}/node/worker.js")])),
            "python" => Some(command(&["-u", &format!("{workers}/python/worker.py")])),
            _ => None,
        }
    }

    /// The compiled program.
    pub(crate) fn program(self) -> &'static PathBuf {
        static HTTP: OnceLock<PathBuf> = OnceLock::new();
        static LAMBDA: OnceLock<PathBuf> = OnceLock::new();
        static OF_ONE: OnceLock<PathBuf> = OnceLock::new();
        static LAMBDA_HTTP: OnceLock<PathBuf> = OnceLock::new();
        match self {
            Self::GoLambda => LAMBDA.get_or_init(|| compile("lambda", "go.mod")),
            Self::GoLambdaOfOne => OF_ONE.get_or_init(|| compile("lambda", "old.mod")),
            Self::LambdaHttp => LAMBDA_HTTP.get_or_init(compile_lambda_http),
            _ => HTTP.get_or_init(|| compile("http", "go.mod")),
        }
    }
}

/// Where `scripts/setup test` put the interpreter of a runtime.
fn installed(runtime: &str) -> PathBuf {
    let folder = super::setting("ZIPSHIP_INTERPRETERS").join(runtime);
    assert!(folder.is_dir(), "{} is not there: run scripts/setup test", folder.display());
    folder
}

fn source(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/golang")).join(name)
}

/// The toolchain that the builder has.
pub(crate) fn go() -> Command {
    let mut go = Command::new(super::setting("ZIPSHIP_GO_ROOT").join("bin/go"));
    go.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env_remove("GOROOT");
    go
}

/// A Go program.
fn compile(name: &str, modules: &str) -> PathBuf {
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("go-{name}-{modules}"));
    let mut go = go();
    go.args(["build", "-trimpath", "-modfile", modules, "-o"]).arg(&program).arg(".");
    let built = output(go.current_dir(source(name)));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

/// A cargo project of its own: compiled as its lock file says, once.
fn compile_lambda_http() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lambda-http");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--target-dir"]).arg(&target);
    let built = output(cargo.current_dir(source("lambda-http")));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug/lambda-http-handler")
}
