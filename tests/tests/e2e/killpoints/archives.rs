//! Kills while an upload that ended past the server is looked for: it is found by whoever looks next.

use anyhow::ensure;
use serde_json::json;
use zipship_tests::{Bucket, Function};

use super::{NODE, kill_environment, patiently, wait_for};
use crate::bucket::{answering, key, server};

/// What is done about one.
const POINTS: &[&str] = &["archive.copy", "upload.complete"];

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_found_wherever_the_server_is_killed_when_it_looks() -> anyhow::Result<()> {
    let bucket = Bucket::start()?;
    let mut server = server(&bucket)?;
    server.launch(&key(&bucket))?;
    let function = Function::create(server.api(), NODE).await?;
    server.halt()?;
    let (folder, nothing) = (tempfile::tempdir()?, json!({}));
    for point in POINTS.iter().flat_map(|name| ["before", "after"].map(|side| format!("{name}.{side}"))) {
        let (marker, kill) = kill_environment(folder.path(), &point)?;
        let kill = kill.iter().map(|(name, value)| (*name, value.as_str()));
        server.launch(&key(&bucket).into_iter().chain(kill).collect::<Vec<_>>())?;
        function.upload(&answering(&point).bytes()).await?;
        let path = format!("functions/{}/deploy", function.id);
        let lost = server.api().post(&path, &nothing).await;
        ensure!(lost.is_err(), "killed at {point}");
        wait_for(&marker).await?;
        let asked = patiently(|| server.api().post(&path, &nothing)).await?.expect(200);
        assert_eq!(asked["status"], "pending", "{point}: {asked}");
        let settled = function.settled().await?;
        assert_eq!(settled["status"], "ready", "{point}: {settled}");
        assert_eq!(function.call().await?.text(), point);
        server.halt()?;
    }
    server.launch(&key(&bucket))?;
    server.stop()
}
