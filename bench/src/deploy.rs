//! `deploy.hello.<runtime>`: from the deploy call to `ready`, the whole of build, push, start and probe.

use std::time::Instant;

use anyhow::{Context, ensure};
use zipship_tests::{Example, Function, Server};

use crate::{peer::Peer, row::Row, samples::median_ms};

const RUNS: usize = 5;

pub(crate) async fn measure(name: &'static str, example: &str) -> anyhow::Result<Row> {
    let server = Server::start()?;
    let example = Example::read(example)?;
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        let function = Function::create(server.api(), example.spec()).await?;
        function.upload(&example.archive()?.bytes()).await?;
        let called = Instant::now();
        let settled = function.deploy().await?;
        samples.push(called.elapsed());
        ensure!(settled["status"] == "ready", "the deploy failed: {}", settled["error_message"]);
    }
    server.stop()?;
    let value = median_ms(&mut samples).context("samples were taken")?;
    let reason = "no other server of this API can be had".to_owned();
    Ok(Row::milliseconds(name, value, Peer { name: "none", value: Err(reason) }))
}
