//! Logs of functions and containers of the real server: what they said, with its request, and what the platform did.

mod flood;
mod follow;
mod kills;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::{Answer, Api, Container, Function, Server, Spec, Zip};

use crate::containers::{Workshop, namespace};

pub(super) const PROGRAM: &[&str] = &["--config.entrypoint", "/usr/bin/program"];
const LIMIT: Duration = Duration::from_secs(60);

pub(super) const NODE: Spec<'_> = Spec { runtime: "node22", handler: "handler.handle", privacy: "public" };
const SAYS: &str = "module.exports.handle = async () => { console.log('said by node'); console.error('and again'); return 'done'; };";
const PYTHON: &str = "def handle(event, context):\n    print('said by python')\n    return 'done'\n";

/// All of an application's log, the oldest line first.
pub(crate) async fn log(api: &Api, application: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("logs?application_id={application}&order_by=timestamp_asc&page_size=100{after}");
        let answer = api.get(&path).await?.expect(200);
        let lines = answer["logs"].as_array().context("logs")?;
        let Some(last) = lines.last() else { return Ok(all) };
        after = format!("&after={}", last["id"].as_str().context("an id")?);
        all.extend(lines.iter().cloned());
    }
}

/// The log, once it is as it should be.
pub(crate) async fn log_when(
    api: &Api,
    application: &str,
    done: impl Fn(&[Value]) -> bool,
) -> anyhow::Result<Vec<Value>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = log(api, application).await?;
        if done(&found) {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "it never came:\n{}", messages(&found).join("\n"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The newest lines, as a client asks that names nothing but the application; once a message is among them.
pub(crate) async fn log_newest(api: &Api, application: &str, message: &str) -> anyhow::Result<Vec<Value>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let answer = api.get(&format!("logs?application_id={application}")).await?.expect(200);
        let lines = answer["logs"].as_array().context("logs")?;
        if messages(lines).contains(&message) {
            return Ok(lines.clone());
        }
        ensure!(Instant::now() < deadline, "{message:?} never came: {lines:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["message"].as_str()).collect()
}

/// The line with this message.
fn line<'a>(lines: &'a [Value], message: &str) -> anyhow::Result<&'a Value> {
    let found = lines.iter().find(|line| line["message"] == message);
    found.with_context(|| format!("{message:?} is not in:\n{}", messages(lines).join("\n")))
}

fn has(lines: &[Value], part: &str) -> bool {
    messages(lines).iter().any(|message| message.contains(part))
}

/// What all lines begin with.
fn begins(lines: &[Value], beginnings: &[&str]) {
    let found = messages(lines);
    for (found, wanted) in found.iter().zip(beginnings) {
        assert!(found.starts_with(wanted), "{wanted:?} was expected: {found:?} of {lines:#?}");
    }
    assert!(found.len() >= beginnings.len(), "{found:?}");
}

const DEPLOY: &[&str] = &[
    "deploy: it begins",
    "deploy: fetching the archive",
    "deploy: building the image",
    "deploy: pushing the image",
    "deploy: starting an instance",
    "cold start: an instance was ready in ",
    "deploy: switching callers",
    "deploy: version 1 is ready",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_found_with_its_request_after_the_instance_and_the_server_are_gone()
-> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let api = server.api();
    let (namespace, _) = namespace(api, "said").await?;
    let node = Function::create_in(api, &namespace, NODE).await?;
    node.redeploy(&Zip::of("handler.js", SAYS)).await?;
    let python = Spec { runtime: "python311", ..NODE };
    let python = Function::create_in(api, &namespace, python).await?;
    python.redeploy(&Zip::of("handler.py", PYTHON)).await?;
    let container = container(&server, &namespace, "said").await?;

    let mut requests = Vec::new();
    for call in [node.call().await?, python.call().await?, container.call("/say?count=2").await?] {
        assert_eq!(call.status, 200, "{}", call.text());
        requests.push(call.header("x-request-id"));
    }
    let of_node = log_when(api, &node.id, |lines| has(lines, "and again")).await?;
    begins(&of_node, DEPLOY);
    let said = line(&of_node, "said by node")?;
    assert_eq!((&said["stream"], &said["request_id"]), (&json!("stdout"), &json!(requests[0])));
    assert_eq!(line(&of_node, "and again")?["stream"], "stderr");
    let started = of_node.iter().find(|line| line["message"].as_str().unwrap().starts_with("cold start"));
    assert_eq!(said["instance_id"], started.context("a cold start")?["instance_id"]);
    assert!(server.sandboxes().contains(said["instance_id"].as_str().unwrap()));
    let of_python = log_when(api, &python.id, |lines| has(lines, "said by python")).await?;
    assert_eq!(line(&of_python, "said by python")?["request_id"], json!(requests[1]));
    // A container's lines are nobody's but its own.
    let of_container = log_when(api, &container.id, |lines| has(lines, "line 2")).await?;
    begins(
        &of_container,
        &["deploy: it begins", "deploy: looking the image up", "deploy: checking the image"],
    );
    assert_eq!(line(&of_container, "line 2")?["request_id"], Value::Null);
    // The server's own log has none of it.
    assert!(!server.log().contains("said by"), "{}", server.log());

    server.halt()?;
    server.launch(&[])?;
    let api = server.api();
    for (id, before) in [(&node.id, of_node), (&python.id, of_python), (&container.id, of_container)] {
        let now = log(api, id).await?;
        assert_eq!(now[..before.len()], before);
        assert!(has(&now, "the instance was stopped"), "{:?}", messages(&now));
    }
    // Of an application that is deleted nothing is left.
    let folder = server.data().join("server/logs").join(api.organization()).join(&node.id);
    assert!(folder.is_dir());
    let _ = api.delete(&format!("functions/{}", node.id)).await?.expect(200);
    let deadline = Instant::now() + LIMIT;
    while api.get(&format!("logs?application_id={}", node.id)).await?.status != 404 {
        ensure!(Instant::now() < deadline, "it stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!folder.exists());
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_tells_what_happened_to_deploys_instances_and_requests() -> anyhow::Result<()> {
    let server = Server::start_with(&["--idle", "2"])?;
    let api = server.api();
    let (namespace, _) = namespace(api, "events").await?;
    let code = "let kept = [];
        module.exports.handle = async (event) => {
            if (event.path === '/slow') await new Promise((done) => setTimeout(done, 60000));
            if (event.path === '/eat') for (;;) kept.push(Buffer.alloc(1 << 20, 1));
        };";
    let function = Function::create_in(api, &namespace, NODE).await?;
    function.redeploy(&Zip::of("handler.js", code)).await?;
    let eaten = Answer::of(function.request(Method::GET, "/eat")).await?;
    assert_eq!(eaten.status, 507, "{}", eaten.text());
    // What serves is deployed anew with the other limit.
    let _ = api.patch(&format!("functions/{}", function.id), &json!({"timeout": 1000})).await?.expect(200);
    assert_eq!(function.settled().await?["status"], "ready");
    let slow = Answer::of(function.request(Method::GET, "/slow")).await?;
    assert_eq!(slow.status, 504, "{}", slow.text());
    // A deploy that fails tells the interpreter's own words, and the one before serves on.
    function.upload(&Zip::of("handler.js", "require('left-out')").bytes()).await?;
    assert_eq!(function.deploy().await?["status"], "error");
    function.redeploy(&Zip::of("handler.js", SAYS)).await?;
    let lines = log_when(api, &function.id, |lines| has(lines, "nobody called it")).await?;
    let timed_out = lines.iter().find(|line| line["message"].as_str().unwrap().contains("within 1000 ms"));
    assert_eq!(timed_out.context("the timeout")?["request_id"], json!(slow.header("x-request-id")));
    for part in [
        "a process of the instance was killed: it ran out of its 128 MB of memory",
        "deploy: it failed: Cannot find module 'left-out'",
        "an instance did not start: Cannot find module 'left-out'",
        "deploy: version 3 is ready",
    ] {
        assert!(has(&lines, part), "{part:?} is not in:\n{}", messages(&lines).join("\n"));
    }

    let container = container(&server, &namespace, "events").await?;
    let _ = api.patch(&container.path(), &json!({"timeout": 500, "redeploy": true})).await?.expect(200);
    container.settled().await?;
    let slow = container.call("/slow").await?;
    assert_eq!(slow.status, 504);
    assert_eq!(container.call("/end").await?.status, 502);
    let lines = log_when(api, &container.id, |lines| has(lines, "exit code 7")).await?;
    let given_up = line(&lines, "a request was given up: the instance did not answer it in time")?;
    assert_eq!(given_up["request_id"], json!(slow.header("x-request-id")));
    line(&lines, "the instance ended by itself with exit code 7")?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_of_go_tells_what_was_fetched_and_what_does_not_compile() -> anyhow::Result<()> {
    let server = Server::start()?;
    let spec = Spec { runtime: "golang", handler: ".", privacy: "public" };
    let function = Function::create(server.api(), spec).await?;
    let broken = Zip::of("main.go", "package main\n\nfunc main() {\n\tundefinedThing()\n}\n");
    function.upload(&broken.file("go.mod", "module example.test/f\n\ngo 1.21\n").bytes()).await?;
    assert_eq!(function.deploy().await?["status"], "error");
    let lines = log(server.api(), &function.id).await?;
    assert!(has(&lines, "undefined: undefinedThing"), "{:?}", messages(&lines));
    server.stop()
}

/// A container of the program, deployed.
pub(super) async fn container(server: &Server, namespace: &str, name: &str) -> anyhow::Result<Container> {
    let workshop = Workshop::new(server);
    workshop.login("skopeo");
    let container = Container::create(server.api(), namespace, name, &json!({})).await?;
    workshop.push(&workshop.image(name, PROGRAM), &container.image);
    container.deployed().await?;
    Ok(container)
}
