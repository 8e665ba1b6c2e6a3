//! `kill -9` of each process of `zipship serve` while a deploy is under way.

use std::{path::Path, time::Duration};

use anyhow::Context;
use zipship_tests::{Function, Server, Zip};

use super::{GO, NODE, armed, deploy, go, node, one_sandbox, patiently, settled, tail};

/// Into a deploy, from its first write to about its end; compiling takes a second or more.
const MOMENTS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(120), Duration::from_millis(400)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// What the user started, and its death takes everything along.
    Outer,
    /// PID 1 of the sandboxes: likewise.
    Launcher,
    /// The API; it comes back by itself.
    Api,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_outer_process_leaves_nothing_and_the_next_start_ends_the_deploy() -> anyhow::Result<()> {
    killed_at_all_moments(Victim::Outer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_launcher_leaves_nothing_and_the_next_start_ends_the_deploy() -> anyhow::Result<()> {
    killed_at_all_moments(Victim::Launcher).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_and_ends_the_deploy() -> anyhow::Result<()> {
    killed_at_all_moments(Victim::Api).await
}

async fn killed_at_all_moments(victim: Victim) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::deployed(server.api(), NODE, &node("start")).await?;
    for moment in MOMENTS {
        let code = format!("{}", moment.as_millis());
        let archive = node(&code);
        let run = redeploys(&mut server, folder.path(), victim, moment, &function, &archive, &code);
        run.await.with_context(|| format!("{victim:?} killed after {moment:?}:\n{}", tail(&server.log())))?;
    }
    let moment = Duration::from_millis(500);
    let archive = go()?;
    let golang = Function::create_in(server.api(), &function.namespace, GO).await?;
    let run = redeploys(&mut server, folder.path(), victim, moment, &golang, &archive, "Your response");
    run.await.with_context(|| format!("{victim:?} killed while it compiles:\n{}", tail(&server.log())))?;
    server.stop()
}

async fn redeploys(
    server: &mut Server,
    folder: &Path,
    victim: Victim,
    moment: Duration,
    function: &Function,
    archive: &Zip,
    code: &str,
) -> anyhow::Result<()> {
    function.upload(&archive.bytes()).await?;
    let before = server.sandboxes();
    deploy(server, function).await?;
    tokio::time::sleep(moment).await;
    match victim {
        Victim::Outer => server.kill()?,
        Victim::Launcher => server.kill_launcher()?,
        Victim::Api => server.kill_api()?,
    }
    if victim != Victim::Api {
        assert_eq!(server.sandboxes().len(), 0, "{:?}", server.sandboxes());
        // The start itself is interrupted once too, where it takes the deploys of the dead over.
        armed(
            server,
            folder,
            if moment.is_zero() { "deploy.release.before" } else { "deploy.release.after" },
        )?;
    }
    let settled = settled(server, function).await?;
    assert_eq!(settled["status"], "ready", "{settled}");
    let served = patiently(|| async { function.call().await }).await?;
    assert_eq!((served.status, served.text().as_str()), (200, code));
    one_sandbox(server, &before).await
}
