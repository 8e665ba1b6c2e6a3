//! Who is measured: a name and a command line that listens on the port it is told.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::places::Places;

/// Names as the rows have them.
pub(super) const PLAIN_NODE: &str = "plain node http";
const PLAIN_GO: &str = "plain Go net/http";
/// The same with what the shim gives a Go program whose instance has less than a core.
const PLAIN_GO_OF_ONE: &str = "plain Go net/http, GOMAXPROCS=1";
const FRAMEWORK_NODE: &str = "@google-cloud/functions-framework";
const FRAMEWORK_PYTHON: &str = "functions-framework (Python)";
const SCALEWAY_NODE: &str = "@scaleway/serverless-functions";
const SCALEWAY_PYTHON: &str = "scaleway-functions-python";

/// Makes the command line for a port.
type MakeCommand<'a> = Box<dyn Fn(u16) -> Command + 'a>;

/// A server to be started.
pub(super) struct Subject<'a> {
    pub(super) name: &'static str,
    /// Or why it cannot be had.
    pub(super) command: Result<MakeCommand<'a>, String>,
}

impl<'a> Subject<'a> {
    fn new(name: &'static str, command: impl Fn(u16) -> Command + 'a) -> Self {
        Self { name, command: Ok(Box::new(command)) }
    }

    fn of_peer<T: 'a>(
        name: &'static str,
        found: Result<T, String>,
        command: impl Fn(&T, u16) -> Command + 'a,
    ) -> Self {
        let command = found.map(|found| Box::new(move |port| command(&found, port)) as MakeCommand<'a>);
        Self { name, command }
    }
}

/// Ours first.
pub(super) fn node(places: &Places) -> Vec<Subject<'_>> {
    vec![
        Subject::new("ours", |port| our_node(places, port)),
        plain_node(places),
        framework_node(places),
        scaleway_node(places),
    ]
}

pub(super) fn plain_node(places: &Places) -> Subject<'_> {
    Subject::new(PLAIN_NODE, |port| {
        let mut node = Command::new(&places.node);
        node.arg(Places::program("node/plain.js")).env("PORT", port.to_string());
        node
    })
}

pub(super) fn framework_node(places: &Places) -> Subject<'_> {
    let main = places.peer("node/node_modules/@google-cloud/functions-framework/build/src/main.js");
    Subject::of_peer(FRAMEWORK_NODE, main, |main, port| {
        let mut node = Command::new(&places.node);
        node.arg(main).arg("--target=handle").arg(format!("--port={port}"));
        node.arg(format!("--source={}", Places::program("node/functions_framework.js").display()));
        node
    })
}

fn scaleway_node(places: &Places) -> Subject<'_> {
    let modules = places.peer("node/node_modules/@scaleway/serverless-functions");
    let modules = modules.and_then(|_| places.peer("node/node_modules"));
    Subject::of_peer(SCALEWAY_NODE, modules, |modules, port| {
        let mut node = Command::new(&places.node);
        node.arg(Places::program("node/scaleway.js")).env("NODE_PATH", modules);
        node.env("PORT", port.to_string());
        node
    })
}

pub(super) fn python(places: &Places) -> Vec<Subject<'_>> {
    let packages = || places.peer("python/packages");
    let with = |packages: &Path| {
        let mut python = Command::new(&places.python);
        python.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
        python
    };
    vec![
        Subject::new("ours", |port| {
            let worker = places.workers.join("python/worker.py").display().to_string();
            let command = [places.python.display().to_string(), "-u".into(), worker];
            shim(places, "python", &command, &Places::program("python"), port)
        }),
        plain_node(places),
        Subject::of_peer(FRAMEWORK_PYTHON, packages(), move |packages, port| {
            let mut python = with(packages);
            python.args(["-m", "functions_framework", "--target", "handle", "--host", "127.0.0.1"]);
            python.arg("--port").arg(port.to_string());
            python.arg("--source").arg(Places::program("python/functions_framework_main.py"));
            python
        }),
        Subject::of_peer(SCALEWAY_PYTHON, packages(), move |packages, port| {
            let mut python = with(packages);
            python.arg(Places::program("python/scaleway_main.py")).env("PORT", port.to_string());
            python
        }),
    ]
}

pub(super) fn go(places: &Places) -> Vec<Subject<'_>> {
    let form = places.compiled("go-form").map_err(|error| format!("{error:#}"));
    let plain = places.compiled("go-plain").map_err(|error| format!("{error:#}"));
    vec![
        Subject::of_peer("ours", form, |form, port| {
            let mut shim = shim(places, "golang", &[], places.code(), port);
            shim.arg("--handler").arg(form).env("SCW_UPSTREAM_PORT", super::process::free_port().to_string());
            shim
        }),
        plain_go(PLAIN_GO, plain.clone(), &[]),
        plain_go(PLAIN_GO_OF_ONE, plain, &[("GOMAXPROCS", "1")]),
    ]
}

fn plain_go<'a>(
    name: &'static str,
    plain: Result<PathBuf, String>,
    variables: &'a [(&'a str, &'a str)],
) -> Subject<'a> {
    Subject::of_peer(name, plain, move |plain, port| {
        let mut go = Command::new(plain);
        go.env("PORT", port.to_string()).envs(variables.iter().copied());
        go
    })
}

pub(super) fn our_node(places: &Places, port: u16) -> Command {
    let worker = places.workers.join("node/worker.js").display().to_string();
    let command = [places.node.display().to_string(), "--use-openssl-ca".into(), worker];
    shim(places, "node", &command, &Places::program("node"), port)
}

/// As the server starts an instance of the default memory, with everything on that is off by default; the log
/// descriptor is the starter's. No CPU limit is kept, as none is of the peers.
fn shim(places: &Places, language: &str, worker: &[String], code: &Path, port: u16) -> Command {
    let mut shim = Command::new(&places.shim);
    shim.env("ZIPSHIP_LANGUAGE", language).env("SCW_PUBLIC", "true").env("PORT", port.to_string());
    shim.env("SCW_METRICS_PORT", super::process::free_port().to_string());
    shim.env("SCW_TIMEOUT_MS", "10000").env("SCW_APPLICATION_NAME", "bench");
    shim.env("SCW_APPLICATION_MEMORY", "256");
    // Python's default is 8 at once: all of the load's connections may wait.
    shim.env("SCW_QUEUE_SIZE", "64").env("PYTHONDONTWRITEBYTECODE", "1");
    if !worker.is_empty() {
        shim.env("ZIPSHIP_WORKER", serde_json::json!(worker).to_string());
    }
    shim.arg("--code").arg(code);
    shim
}
