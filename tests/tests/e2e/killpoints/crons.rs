//! Kills around the calls of crons: no tick is called twice, and what is not known is said to be unknown.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use zipship_tests::{Answer, Api, Function, Server, Zip};

use super::{LIMIT, NODE, armed, kill_environment, patiently, tail, wait_for};
use crate::crons::{create, cron_when, has_run, launch_before, launch_before_a_tick};

/// What a tick does, in its order.
pub(super) const OF_A_TICK: &[&str] = &["cron.start", "cron.call", "cron.finish"];
/// What else is written about crons.
pub(super) const OF_CRONS: &[&str] = &["cron.create", "cron.update", "cron.delete", "cron.recover"];

/// Says in the server's log that it was called.
const SPEAKER: &str = "exports.handle = async (event) => { console.log('called by ' + event.body); };";

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_called_once_at_most_wherever_the_server_is_killed() -> anyhow::Result<()> {
    tokio::try_join!(kill_at_each_step("before"), kill_at_each_step("after"))?;
    Ok(())
}

async fn kill_at_each_step(side: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::deployed(server.api(), NODE, &Zip::of("handler.js", SPEAKER)).await?;
    server.halt()?;
    for name in OF_A_TICK {
        let point = format!("{name}.{side}");
        let run = kill_once(&mut server, folder.path(), &function, &point);
        run.await.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
    }
    Ok(())
}

async fn kill_once(
    server: &mut Server,
    folder: &std::path::Path,
    function: &Function,
    point: &str,
) -> anyhow::Result<()> {
    server.launch(&[])?;
    let id = create(server.api(), &function.id, json!({"point": point})).await?;
    server.halt()?;
    let (marker, environment) = kill_environment(folder, point)?;
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    launch_before_a_tick(server, &environment)?;
    wait_for_the_tick(&marker).await?;
    let after = cron_when(server.api(), &id, |_| true).await?;
    let state = after["last_run"]["state"].clone();
    let (expected, calls) = match point {
        "cron.start.before" => (Value::Null, 0..=0),
        "cron.start.after" | "cron.call.before" => (json!("unknown"), 0..=0),
        "cron.finish.after" => (json!("succeeded"), 0..=1),
        // The line of the call may have been lost with the server.
        _ => (json!("unknown"), 0..=1),
    };
    assert_eq!(state, expected, "{after}");
    server.halt()?;

    if point == "cron.start.before" {
        launch_before_a_tick(server, &[])?;
        let run = cron_when(server.api(), &id, has_run).await?;
        assert_eq!(run["last_run"]["state"], "succeeded", "{run}");
    } else {
        // The clock is set back, so that the same tick comes again; another cron says when it was there.
        let tick: jiff::Timestamp = after["last_run"]["tick"].as_str().unwrap().parse()?;
        launch_before(server, tick.as_millisecond(), &[])?;
        let other = create(server.api(), &function.id, json!({})).await?;
        cron_when(server.api(), &other, has_run).await?;
        // Ticks of one minute come within a second.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        let later = cron_when(server.api(), &id, |_| true).await?;
        assert_eq!(later["last_run"], after["last_run"], "it was not called again");
        let said = crate::logs::log(server.api(), &function.id).await?;
        let call = format!("called by {{\"point\":\"{point}\"}}");
        let count = crate::logs::messages(&said).into_iter().filter(|message| *message == call).count();
        assert!(calls.contains(&count), "{point}: called {count} times");
        remove(server.api(), &other).await?;
    }
    remove(server.api(), &id).await?;
    server.halt()
}

async fn wait_for_the_tick(marker: &std::path::Path) -> anyhow::Result<()> {
    let deadline = std::time::Instant::now() + crate::crons::LIMIT;
    while !marker.exists() {
        ensure!(std::time::Instant::now() < deadline, "nothing ticked");
        tokio::time::sleep(super::PAUSE).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_is_made_changed_and_removed_wherever_the_server_is_killed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    for point in OF_CRONS.iter().flat_map(|name| [format!("{name}.before"), format!("{name}.after")]) {
        let marker = armed(&mut server, folder.path(), &point)?;
        let walked = walk(server.api()).await;
        walked.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
        wait_for(&marker).await?;
        let _ = patiently(|| server.api().get("crons")).await?.expect(200);
        server.halt()?;
    }
    Ok(())
}

/// A cron's life, asked for by a client that repeats what was not answered.
async fn walk(api: &Api) -> anyhow::Result<()> {
    let function = Function::create(api, NODE).await?;
    let mine = format!("crons?application_id={}", function.id);
    let body = json!({"application_id": function.id, "schedule": "@yearly"});
    let deadline = std::time::Instant::now() + LIMIT;
    let id = loop {
        let made = api.post("crons", &body).await.map(|answer| answer.expect(200)["id"].clone());
        let there = patiently(|| api.get(&mine)).await?.expect(200);
        if let ([one], lost) = (there["crons"].as_array().unwrap().as_slice(), made.is_err()) {
            assert!(lost || made? == one["id"], "{there}");
            break one["id"].as_str().unwrap().to_owned();
        }
        ensure!(there["total_count"] == 0, "it was made more than once: {there}");
        ensure!(std::time::Instant::now() < deadline, "it is not made");
    };
    let path = format!("crons/{id}");
    let daily = json!({"schedule": "@daily"});
    let changed = patiently(|| api.patch(&path, &daily)).await?.expect(200);
    assert_eq!(changed["schedule"], "@daily");
    remove(api, &id).await?;
    assert_eq!(patiently(|| api.get(&path)).await?.status, 404);
    let function = format!("functions/{}", function.id);
    let gone: Answer = patiently(|| api.delete(&function)).await?;
    assert_eq!(gone.status, 200, "{}", gone.text());
    Ok(())
}

async fn remove(api: &Api, id: &str) -> anyhow::Result<()> {
    let path = format!("crons/{id}");
    let removed = patiently(|| api.delete(&path)).await?;
    // Asked again, it is done.
    assert!([200, 404].contains(&removed.status), "{}", removed.text());
    Ok(())
}
