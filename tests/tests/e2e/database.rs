//! The server with its store in PostgreSQL: killed in a deploy, and with the database away for a while.

use std::{fs, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::time::Instant;
use zipship_tests::{Function, Postgres, Server, Spec, Zip};

const VARIABLE: &str = "ZIPSHIP_DATABASE_URL";
const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_survives_kill_9_and_service_a_restart_of_the_database() -> anyhow::Result<()> {
    let mut database = Postgres::start()?;
    let url = database.url("postgres");
    let mut server = Server::at_fixed_port()?;
    server.launch(&[(VARIABLE, &url)])?;

    let function = Function::create(server.api(), NODE).await?;
    // Slow to start, so that the kill finds the deploy under way.
    let slow = "const begin = Date.now();\nwhile (Date.now() - begin < 2000) {}\n";
    function.upload(&Zip::of("handler.js", &format!("{slow}{}", answering("first"))).bytes()).await?;
    let path = format!("functions/{}", function.id);
    let _ = server.api().post(&format!("{path}/deploy"), &json!({})).await?.expect(200);
    until(async || Ok(server.log().contains(r#""step":"pushing""#))).await.context("the deploy pushes")?;
    server.kill()?;
    server.launch(&[(VARIABLE, &url)])?;
    let settled = function.settled().await?;
    assert_eq!(settled["status"], "ready", "{settled}");
    assert_eq!(function.call().await?.text(), "first");

    database.pause()?;
    let refused = server.api().get(&path).await?;
    assert_eq!(refused.expect(503)["type"], "unavailable");
    let refused = server.api().post(&format!("{path}/deploy"), &json!({})).await?;
    assert_eq!(refused.expect(503)["type"], "unavailable");
    for _ in 0..20 {
        let answer = function.call().await?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "first"));
    }
    database.resume()?;
    until(async || Ok(server.api().get(&path).await?.status == 200)).await.context("the API comes back")?;
    function.redeploy(&Zip::of("handler.js", &answering("second"))).await?;
    assert_eq!(function.call().await?.text(), "second");

    assert!(!server.data().join("server/zipship.db").exists(), "nothing is in SQLite");
    told_nowhere(&server, database.password())?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_finds_the_database_away_is_acted_on_when_it_is_back() -> anyhow::Result<()> {
    let mut database = Postgres::start()?;
    let url = database.url("postgres");
    let mut server = Server::at_fixed_port()?;
    server.launch(&[(VARIABLE, &url)])?;
    let function = Function::deployed(server.api(), NODE, &Zip::of("handler.js", &answering("ran"))).await?;
    let cron = crate::crons::create(server.api(), &function.id, json!({})).await?;
    server.halt()?;
    let tick = crate::crons::launch_before_a_tick(&mut server, &[(VARIABLE, &url)])?;
    // An instance that runs already needs no variables from the store.
    assert_eq!(function.call().await?.text(), "ran");
    database.pause()?;
    until(async || Ok(server.log().contains("this is tried again"))).await.context("the tick comes")?;
    database.resume()?;
    let cron = crate::crons::cron_when(server.api(), &cron, crate::crons::has_run).await?;
    assert_eq!(cron["last_run"]["state"], "succeeded", "{cron}");
    let ran: jiff::Timestamp = cron["last_run"]["tick"].as_str().context("a time")?.parse()?;
    assert_eq!(ran, tick, "{cron}");
    server.stop()
}

fn answering(text: &str) -> String {
    format!("module.exports.handle = async () => '{text}';\n")
}

async fn until(mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await? {
        ensure!(Instant::now() < deadline, "not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Not in the log, and not in arguments or environment of any process but the one that was started with it.
fn told_nowhere(server: &Server, password: &str) -> anyhow::Result<()> {
    let log = server.log();
    ensure!(log.contains("does not answer"), "the log tells that the database was away:\n{log}");
    ensure!(!log.contains(password), "the log has the password:\n{log}");
    for process in fs::read_dir("/proc")?.flatten() {
        // Many are no processes, or have ended meanwhile.
        let Ok(arguments) = fs::read(process.path().join("cmdline")) else { continue };
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        ensure!(!arguments.contains(password), "{arguments}");
        if arguments.contains("\0server\0") {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            ensure!(!environment.contains(password), "the server's environment has the password");
        }
    }
    Ok(())
}
