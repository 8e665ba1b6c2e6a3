//! What functions used, as their owner reads it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;
use zipship_tests::{Function, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node22", handler: "handler.handle", privacy: "public" };
const HANDLER: &str = "exports.handle = async (event) => {
    if (event.path === '/fail') throw new Error('as asked');
    return 'ok';
};";
const LIMIT: Duration = Duration::from_secs(20);

/// The numbers of the one function, once there are so many invocations.
async fn counted(server: &Server, invocations: u64) -> anyhow::Result<Value> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let printed = server.printed(&["usage", "--by", "application"])?;
        if printed[0]["invocations"].as_u64().is_some_and(|found| found >= invocations) {
            return Ok(printed[0].clone());
        }
        ensure!(Instant::now() < deadline, "never {invocations} invocations: {printed}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn call(function: &Function, path: &str, times: usize) -> anyhow::Result<()> {
    for _ in 0..times {
        let answer = zipship_tests::Answer::of(function.request(reqwest::Method::GET, path)).await?;
        ensure!(answer.status == if path == "/fail" { 500 } else { 200 }, "{}", answer.text());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_exactly_also_across_a_restart() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::deployed(server.api(), NODE, &Zip::of("handler.js", HANDLER)).await?;
    call(&function, "/", 10).await?;
    call(&function, "/fail", 2).await?;
    let numbers = counted(&server, 12).await?;
    assert_eq!((&numbers["invocations"], &numbers["errors"]), (&12.into(), &2.into()), "{numbers}");
    assert_eq!(numbers["application_id"], function.id.as_str());
    let (ms, gb_seconds) =
        (numbers["duration_ms"].as_f64().unwrap(), numbers["gb_seconds"].as_f64().unwrap());
    let memory = server.printed(&["function", "get", &function.id])?["memory_limit"].as_f64().unwrap();
    assert!(ms >= 12.0 && (gb_seconds - ms * memory / 1024.0 / 1000.0).abs() < 1e-9, "{numbers}");

    // A server that is stopped brings its last calls to the store, and deleting a function keeps what it used.
    call(&function, "/", 3).await?;
    server.halt()?;
    server.launch(&[])?;
    assert_eq!(counted(&server, 15).await?["invocations"], 15);
    call(&function, "/", 1).await?;
    let deleted = server.run(&["function", "delete", &function.id])?;
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    let numbers = counted(&server, 16).await?;
    assert_eq!((&numbers["invocations"], &numbers["errors"]), (&16.into(), &2.into()), "{numbers}");
    assert!(numbers["cold_starts"].as_u64().is_some_and(|cold| (1..=3).contains(&cold)), "{numbers}");
    let days = server.printed(&["usage", "--by", "day"])?;
    let sum: u64 = days.as_array().unwrap().iter().filter_map(|day| day["invocations"].as_u64()).sum();
    assert_eq!(sum, 16, "{days}");
    server.stop()
}
