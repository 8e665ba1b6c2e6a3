//! `deploy.hello.<runtime>`: from the deploy call to `ready`, the whole of build, push, start and probe.
//! `deploy.parallel`: fifty functions deployed at once, each an archive of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use zipship_tests::{Example, Function, Server, Spec, Zip};

use crate::{peer::Peer, row::Row, samples::median_ms};

const RUNS: usize = 5;
const AT_ONCE: usize = 50;
/// Fine enough beside a deploy of tenths of a second.
const POLL_EVERY: Duration = Duration::from_millis(5);

pub(crate) async fn hello(name: &'static str, example: &str, runtime: &str) -> anyhow::Result<Row> {
    let server = Server::start()?;
    let example = Example::read(example)?;
    let spec = Spec { runtime, ..example.spec() };
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        let function = Function::create(server.api(), spec).await?;
        function.upload(&example.archive()?.bytes()).await?;
        let called = Instant::now();
        let settled = function.deploy_asking(POLL_EVERY).await?;
        samples.push(called.elapsed());
        ensure!(settled["status"] == "ready", "the deploy failed: {}", settled["error_message"]);
    }
    server.stop()?;
    let value = median_ms(&mut samples).context("samples were taken")?;
    Ok(Row::milliseconds(name, value, alone()))
}

/// From the first deploy call to the last `ready`; every one must serve.
pub(crate) async fn parallel(name: &'static str) -> anyhow::Result<Row> {
    let server = Server::start()?;
    let spec = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
    let mut functions = Vec::new();
    for nth in 0..AT_ONCE {
        let function = Function::create(server.api(), spec).await?;
        function.upload(&handler(nth).bytes()).await?;
        functions.push(function);
    }
    let called = Instant::now();
    let settled = try_join_all(functions.iter().map(Function::deploy)).await?;
    let took = called.elapsed();
    for (nth, (function, settled)) in functions.iter().zip(&settled).enumerate() {
        ensure!(settled["status"] == "ready", "deploy {nth} failed: {}", settled["error_message"]);
        let answer = function.call().await?;
        ensure!(
            answer.text() == nth.to_string(),
            "function {nth} answers {}: {}",
            answer.status,
            answer.text()
        );
    }
    server.stop()?;
    Ok(Row::milliseconds(name, took.as_secs_f64() * 1000.0, alone()))
}

fn handler(nth: usize) -> Zip {
    let code = format!("exports.handle = async () => ({{statusCode: 200, body: '{nth}'}})\n");
    Zip::of("handler.js", &code)
}

fn alone() -> Peer {
    Peer { name: "none", value: Err("no other server of this API can be had".to_owned()) }
}
