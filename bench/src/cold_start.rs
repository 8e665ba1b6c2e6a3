//! `cold_start.<runtime>.cold.p50`: from a request sent to its first byte, from zero instances.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use reqwest::Method;
use zipship_tests::{Answer, Example, Function, Server};

use crate::{
    peer::{Peer, podman},
    row::Row,
    samples::median_ms,
};

const RUNS: usize = 10;
/// The server's `--idle`, in seconds, and how long we wait for an instance to be gone.
const IDLE_S: &str = "1";
const GONE_AFTER: Duration = Duration::from_millis(2500);

pub(crate) async fn measure(name: &'static str, example: &str) -> anyhow::Result<Row> {
    let server = Server::start_with(&["--idle", IDLE_S])?;
    let example = Example::read(example)?;
    let function = Function::deployed(server.api(), example.spec(), &example.archive()?).await?;
    let mut samples = Vec::new();
    // Bounded: twice as many tries as runs.
    for _ in 0..2 * RUNS {
        tokio::time::sleep(GONE_AFTER).await;
        samples.extend(one_start(&function).await?);
        if samples.len() == RUNS {
            break;
        }
    }
    ensure!(samples.len() == RUNS, "the instance did not go when idle: {} cold starts", samples.len());
    let peer = match podman::cold_start(server.api(), &function).await {
        Ok(value) => Ok(value),
        Err(error) => Err(format!("{error:#}")),
    };
    server.stop()?;
    let value = median_ms(&mut samples).context("samples were taken")?;
    Ok(Row::milliseconds(name, value, Peer { name: "podman run (runc)", value: peer }))
}

/// One request; none when an instance was there still (a cold start tells its phases).
async fn one_start(function: &Function) -> anyhow::Result<Option<Duration>> {
    let sent = Instant::now();
    // The headers' arrival is the first byte.
    let response = function.request(Method::GET, "").send().await?;
    let first_byte = sent.elapsed();
    let status = response.status().as_u16();
    let cold = response.headers().contains_key("server-timing");
    let answer =
        Answer { status, headers: response.headers().clone(), body: response.bytes().await?.to_vec() };
    ensure!(status == 200, "answered {status}: {}", answer.text());
    Ok(cold.then_some(first_byte))
}
