//! Kills where what was used is brought to the store: no call is counted twice, and what was in the store stays.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use zipship_tests::{Function, Server};

use super::{LIMIT, NODE, PAUSE, armed, node, patiently, tail, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_counted_once_at_most_wherever_the_server_is_killed() -> anyhow::Result<()> {
    // One that was not written down is lost with the server.
    tokio::try_join!(killed_at("usage.add.before", 0), killed_at("usage.add.after", 1))?;
    Ok(())
}

async fn killed_at(point: &str, counted: u64) -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?.with_bases(&["node10"])?;
    let run = kill_once(&mut server, point, counted).await;
    run.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
    server.stop()
}

async fn kill_once(server: &mut Server, point: &str, counted: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    server.launch(&[])?;
    let function = Function::deployed(server.api(), NODE, &node("here")).await?;
    call(&function, 3).await?;
    server.halt()?;

    let marker = armed(server, folder.path(), point)?;
    call(&function, 1).await?;
    wait_for(&marker).await?;
    let kept = 3 + counted;
    ensure!(invocations(server).await? == kept, "after the kill: {}", invocations(server).await?);

    call(&function, 2).await?;
    // Brought while it serves, and not again at its end.
    let deadline = Instant::now() + LIMIT;
    while invocations(server).await? == kept {
        ensure!(Instant::now() < deadline, "what came after the kill is not counted");
        tokio::time::sleep(PAUSE).await;
    }
    server.halt()?;
    server.launch(&[])?;
    ensure!(invocations(server).await? == kept + 2, "in the end: {}", invocations(server).await?);
    Ok(())
}

async fn call(function: &Function, times: usize) -> anyhow::Result<()> {
    for _ in 0..times {
        let answer = patiently(|| function.call()).await?;
        ensure!(answer.status == 200, "{}", answer.text());
    }
    Ok(())
}

async fn invocations(server: &Server) -> anyhow::Result<u64> {
    let usage = patiently(|| server.api().get("usage")).await?.expect(200);
    let rows: &[Value] = usage["usage"].as_array().context("rows")?;
    Ok(rows.iter().filter_map(|row| row["invocations"].as_u64()).sum())
}
