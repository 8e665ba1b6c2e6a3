//! Kills on the rarer ways of a deploy: it fails, it takes long, a PATCH asks for it, or a newer one takes over.

use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::json;
use tempfile::TempDir;
use zipship_tests::{Function, Server, Zip};

use super::{LIMIT, NODE, armed, deploy, node, patiently, settled, tail, wait_for};

/// Longer than a third of a lease (ten seconds), so that it is renewed once.
const SLOW: &str = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 11000);\n\
                    module.exports.handle = async () => 'new';";

/// What the owner reads is the archive's fault, not the kill's, and the old version serves on.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_fails_does_so_with_its_cause_wherever_the_server_is_killed() -> anyhow::Result<()> {
    let no_zip = b"this is no zip archive, only text that is long enough".to_vec();
    let no_import = Zip::of("handler.js", "require('nothing-like-this');").bytes();
    let cases = [
        ("deploy.building.after", &no_zip, "zip"),
        ("deploy.finish.before", &no_zip, "zip"),
        ("deploy.finish.after", &no_zip, "zip"),
        ("instance.start.after", &no_import, "nothing-like-this"),
        ("deploy.finish.before", &no_import, "nothing-like-this"),
        ("deploy.finish.after", &no_import, "nothing-like-this"),
    ];
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::deployed(server.api(), NODE, &node("old")).await?;
    server.halt()?;
    for (point, archive, cause) in cases {
        let folder = tempfile::tempdir()?;
        let run = fails(&mut server, &folder, &function, point, archive, cause);
        run.await.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
    }
    Ok(())
}

async fn fails(
    server: &mut Server,
    folder: &TempDir,
    function: &Function,
    point: &str,
    archive: &[u8],
    cause: &str,
) -> anyhow::Result<()> {
    let marker = armed(server, folder.path(), point)?;
    assert_eq!(function.call().await?.text(), "old");
    function.upload(archive).await?;
    deploy(server, function).await?;
    wait_for(&marker).await?;
    let settled = settled(server, function).await?;
    assert_eq!(settled["status"], "error", "{settled}");
    let said = settled["error_message"].as_str().unwrap();
    assert!(said.contains(cause), "{cause:?} is not in {said:?}");
    let served = patiently(|| async { function.call().await }).await?;
    assert_eq!((served.status, served.text().as_str()), (200, "old"));
    server.halt()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_deploy_ends_when_the_server_is_killed_as_it_renews_its_lease() -> anyhow::Result<()> {
    tokio::try_join!(renews("deploy.renew.before"), renews("deploy.renew.after"))?;
    Ok(())
}

async fn renews(point: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    let marker = armed(&mut server, folder.path(), point)?;
    let function = Function::create(server.api(), NODE).await?;
    function.upload(&Zip::of("handler.js", SLOW).bytes()).await?;
    deploy(&server, &function).await?;
    wait_for(&marker).await?;
    let settled = settled(&server, &function).await?;
    assert_eq!(settled["status"], "ready", "{point}: {settled}");
    assert_eq!(function.call().await?.text(), "new");
    server.stop()
}

/// A PATCH that redeploys writes the change and the request in one: both are there, or none.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_redeploys_is_whole_or_not_there() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let archive = Zip::of("handler.js", "module.exports.handle = async () => process.env.SIDE || 'none';");
    let function = Function::deployed(server.api(), NODE, &archive).await?;
    server.halt()?;
    let path = format!("functions/{}", function.id);
    let mut serving = "none";
    for side in ["before", "after"] {
        let folder = tempfile::tempdir()?;
        let marker = armed(&mut server, folder.path(), &format!("function.update.{side}"))?;
        let change = json!({"environment_variables": {"SIDE": side}, "redeploy": true});
        let _ = server.api().patch(&path, &change).await.expect_err("the server died before it answered");
        wait_for(&marker).await?;
        let now = settled(&server, &function).await?;
        assert_eq!(now["status"], "ready", "{now}");
        if side == "before" {
            assert_eq!(now["environment_variables"], json!({}), "{now}");
            assert_eq!(function.call().await?.text(), serving);
            let _ = server.api().patch(&path, &change).await?.expect(200);
            let now = settled(&server, &function).await?;
            assert_eq!(now["status"], "ready", "{now}");
        }
        serving = side;
        assert_eq!(function.call().await?.text(), serving);
        server.halt()?;
    }
    Ok(())
}

/// Two requests shortly after one another, killed at the second: the newer code serves in the end.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_of_two_deploys_wins_although_the_server_is_killed_between_them() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    let marker = armed(&mut server, folder.path(), "image.push.after")?;
    let function = Function::create(server.api(), NODE).await?;
    function.upload(&node("first").bytes()).await?;
    deploy(&server, &function).await?;
    wait_for(&marker).await?;
    // The first deploy goes on at the next start, beside all this.
    let deadline = Instant::now() + LIMIT;
    while function.upload(&node("second").bytes()).await.is_err() {
        ensure!(Instant::now() < deadline, "the server does not come back");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    deploy(&server, &function).await?;
    let settled = settled(&server, &function).await?;
    assert_eq!(settled["status"], "ready", "{settled}");
    assert_eq!(function.call().await?.text(), "second");
    server.stop()
}
