//! The server with its archives in a bucket of versitygw.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::time::Instant;
use zipship_tests::{Bucket, Function, Place, Server, Spec, Zip};

const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };

/// JavaScript that answers this.
pub(crate) fn answering(text: &str) -> Zip {
    Zip::of("handler.js", &format!("module.exports.handle = async () => '{text}';\n"))
}

/// A server that is to keep its archives there.
pub(crate) fn server(bucket: &Bucket) -> anyhow::Result<Server> {
    Server::at_fixed_port_with(&["--archives", &bucket.place(), "--s3-endpoint", &bucket.endpoint()])
}

/// Its environment.
pub(crate) fn key(bucket: &Bucket) -> [(&'static str, &'static str); 2] {
    [("AWS_ACCESS_KEY_ID", bucket.key_id()), ("AWS_SECRET_ACCESS_KEY", bucket.secret())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_deployed_from_a_bucket_which_may_go_away_meanwhile() -> anyhow::Result<()> {
    let mut bucket = Bucket::start()?;
    let mut server = server(&bucket)?;
    server.launch(&key(&bucket))?;
    let function = Function::create(server.api(), NODE).await?;
    assert!(function.upload_url(10).await?.starts_with(&bucket.endpoint()));
    function.redeploy(&answering("first")).await?;
    assert_eq!(function.call().await?.text(), "first");
    assert!(!server.data().join("server/archives").exists(), "nothing is in files");

    // The archive is damaged where it lies: that is noticed, and the old version goes on.
    let path = format!("functions/{}", function.id);
    function.upload(&answering("second").bytes()).await?;
    let _ = server.api().get(&format!("{path}/download-url")).await?.expect(200);
    for (object, bytes) in bucket.objects()?.into_iter().filter(|(name, _)| name.starts_with("archives/")) {
        bucket.damage(&object, &vec![b'x'; bytes.len()])?;
    }
    let failed = function.deploy().await?;
    assert_eq!(failed["status"], "error", "{failed}");
    assert!(
        failed["error_message"].as_str().context("a text")?.contains("damaged in the bucket"),
        "{failed}"
    );

    bucket.pause()?;
    let refused = server.api().post(&format!("{path}/deploy"), &json!({})).await?;
    assert_eq!(refused.expect(503)["type"], "unavailable");
    assert_eq!(function.call().await?.text(), "first");
    // A start needs the bucket as little as a call does.
    server.halt()?;
    server.launch(&key(&bucket))?;
    assert_eq!(function.call().await?.text(), "first");
    bucket.resume()?;
    function.redeploy(&answering("third")).await?;
    assert_eq!(function.call().await?.text(), "third");

    let log = server.log();
    ensure!(log.contains("does not answer now"), "the log tells that the bucket was away:\n{log}");
    ensure!(
        !log.contains("X-Amz-Signature") && !log.contains(bucket.secret()),
        "the log has a secret:\n{log}"
    );
    let _ = server.api().delete(&path).await?.expect(200);
    let deadline = Instant::now() + LIMIT;
    while !bucket.objects()?.is_empty() {
        ensure!(Instant::now() < deadline, "these stay: {:?}", bucket.objects()?.keys());
        tokio::time::sleep(PAUSE).await;
    }
    server.stop()
}

#[test]
fn a_start_says_what_is_wrong_with_the_bucket() -> anyhow::Result<()> {
    let bucket = Bucket::start()?;
    let secret = tempfile::NamedTempFile::new()?;
    fs::write(secret.path(), "marker-of-a-wrong-secret\n")?;
    let told = started(&bucket, &[("ZIPSHIP_S3_SECRET_ACCESS_KEY_FILE", path(secret.path())?)])?;
    assert!(told.contains("SignatureDoesNotMatch") && told.contains("AWS_SECRET_ACCESS_KEY"), "{told}");
    assert!(!told.contains("marker-of"), "{told}");
    let told = started(&bucket, &[])?;
    assert!(told.contains("a key is needed: set AWS_ACCESS_KEY_ID"), "{told}");
    Ok(())
}

/// What a server says that is started with the bucket and ended soon.
fn started(bucket: &Bucket, environment: &[(&str, &str)]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut starting = Command::new("timeout");
    starting.args(["--signal=TERM", "10"]).arg(Place::find()?.existing("ZIPSHIP_BIN")?);
    starting.args(["serve", "--listen", "127.0.0.1:0", "--archives", &bucket.place()]);
    starting.args(["--s3-endpoint", &bucket.endpoint(), "--s3-access-key-id", bucket.key_id()]);
    let output = starting.arg("--data").arg(folder.path().join("data")).envs(environment.iter().copied());
    Ok(String::from_utf8_lossy(&output.output()?.stderr).into_owned())
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path in UTF-8")
}
