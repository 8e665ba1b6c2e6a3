//! TLS with given certificates.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use zipship_tests::{Answer, Function, Place, Server, Spec, Zip};

use super::certificates::{Authority, Files, When};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const HANDLER: &str = "module.exports.handle = async (event) => event.headers['X-Forwarded-Proto'];\n";
const DEADLINE: Duration = Duration::from_secs(20);

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} (scripts/setup test installs it): {error}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_speak_tls_with_api_functions_and_registry() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (files, authority) = (Files::within(folder.path()), Authority::new("tests")?);
    authority.sign(When::Now, &files)?;
    let trusted = folder.path().join("ca.crt");
    fs::write(&trusted, authority.pem())?;
    let server = Server::start_with(&files.arguments())?;
    let api = server.api().trusting(&authority.pem())?;
    ensure!(api.url().starts_with("https://127.0.0.1:"), "{}", api.url());

    // The server's own calls, the registry's client and the probe, are part of this deploy.
    let function = Function::deployed(&api, NODE, &Zip::of("handler.js", HANDLER)).await?;
    ensure!(function.endpoint.starts_with(api.url()), "{}", function.endpoint);
    assert_eq!(function.call().await?.text(), "https");
    let url = function.upload_url(10).await?;
    ensure!(url.starts_with(api.url()), "{url}");

    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]);
        run(command.args(arguments).arg(&function.endpoint))
    };
    let certificate = trusted.to_str().context("UTF-8")?;
    assert_eq!(text(&curl(&["--cacert", certificate])), "2 200");
    assert_eq!(text(&curl(&["--cacert", certificate, "--http1.1"])), "1.1 200");
    assert_eq!(curl(&[]).status.code(), Some(60), "nobody else's certificate is believed");
    let plain = api.url().replace("https://", "http://");
    assert!(!run(Command::new("curl").args(["-sS", &plain])).status.success(), "plain HTTP is not spoken");

    let node = run(Command::new("node")
        .args(["-e", "require('https').get(process.argv[1], (answer) => { console.log(answer.statusCode); answer.resume(); })"])
        .arg(&function.endpoint)
        .env("NODE_EXTRA_CA_CERTS", &trusted));
    assert_eq!(text(&node).trim(), "200", "{node:?}");

    let host = api.url().trim_start_matches("https://");
    let skopeo = run(Command::new("skopeo")
        .args(["inspect", "--cert-dir"])
        .arg(only(folder.path(), &authority.pem())?)
        .args(["--creds", &format!("any:{}", api.key()), &format!("docker://{host}/base/node10:latest")])
        .env("HOME", folder.path()));
    ensure!(text(&skopeo).contains("sha256:"), "{skopeo:?}");
    server.stop()
}

/// A folder with nothing but the authority, as skopeo wants it.
fn only(folder: &Path, authority: &str) -> anyhow::Result<std::path::PathBuf> {
    let folder = folder.join("certs");
    fs::create_dir(&folder)?;
    fs::write(folder.join("ca.crt"), authority)?;
    Ok(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_at_sighup_and_no_connection_is_dropped() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let files = Files::within(folder.path());
    let (old, new) = (Authority::new("old")?, Authority::new("new")?);
    old.sign(When::Now, &files)?;
    let server = Server::start_with(&files.arguments())?;
    let kept = server.api().trusting(&old.pem())?;
    let _ = kept.get("runtimes").await?.expect(200);
    let hangup = || -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(server.pid().context("it runs")?)?).context("a pid")?;
        Ok(kill_process(pid, Signal::HUP)?)
    };

    // One that can't be used changes nothing.
    fs::write(&files.key, "nothing")?;
    hangup()?;
    until(async || Ok(server.log().contains("the old one stays"))).await?;
    ensure!(server.log().contains("server.key holds no private key"), "{}", server.log());
    let _ = server.api().trusting(&old.pem())?.get("runtimes").await?.expect(200);

    new.sign(When::Now, &files)?;
    hangup()?;
    until(async || Ok(server.api().trusting(&new.pem())?.get("runtimes").await.is_ok()))
        .await
        .context("new connections get the new certificate")?;
    ensure!(server.api().trusting(&old.pem())?.get("runtimes").await.is_err(), "and not the old one");
    // Its certificate would not be believed any more: this is the connection from before.
    let _ = kept.get("runtimes").await?.expect(200);
    server.stop()
}

async fn until(mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await? {
        ensure!(Instant::now() < deadline, "not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_expired_is_told_and_clients_decide() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (files, authority) = (Files::within(folder.path()), Authority::new("tests")?);
    authority.sign(When::Past, &files)?;
    let server = Server::start_with(&files.arguments())?;
    ensure!(server.log().contains("the certificate has expired"), "{}", server.log());
    ensure!(server.log().contains("2021-01-01T00:00:00Z"), "{}", server.log());
    let health = format!("{}/healthz", server.api().url());
    let request = server.api().trusting(&authority.pem())?.request(Method::GET, &health);
    ensure!(Answer::of(request).await.is_err(), "a client that checks refuses it");
    let curl = run(Command::new("curl").args(["-sSk", &health]));
    ensure!(text(&curl).contains("alive"), "{curl:?}");
    server.stop()
}

#[test]
fn what_cannot_be_used_is_refused_at_once_with_the_reason() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (files, authority) = (Files::within(folder.path()), Authority::new("tests")?);
    authority.sign(When::Now, &files)?;
    let good = (fs::read_to_string(&files.certificate)?, fs::read_to_string(&files.key)?);
    let started = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut command = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
        command.arg("serve").arg("--data").arg(folder.path().join("data")).args(["--listen", "127.0.0.1:0"]);
        let output = run(command.args(arguments).stdin(Stdio::null()));
        ensure!(!output.status.success(), "{output:?}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let refused = |certificate: &str, key: &str, reason: &str| -> anyhow::Result<()> {
        fs::write(&files.certificate, certificate)?;
        fs::write(&files.key, key)?;
        let error = started(&files.arguments())?;
        ensure!(error.contains(reason), "{reason}: {error}");
        Ok(())
    };
    authority.sign(When::Now, &files)?;
    let other = fs::read_to_string(&files.key)?;
    refused(&good.0, &other, "server.key does not fit the certificate in")?;
    refused("nothing", &good.1, "server.crt holds no certificate")?;
    refused(&good.0, &good.0, "server.key holds no private key")?;
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(&good.0, encrypted, "is encrypted")?;
    fs::remove_file(&files.key)?;
    let error = started(&files.arguments())?;
    ensure!(error.contains("server.key: No such file"), "{error}");
    let error = started(&files.arguments()[..2])?;
    ensure!(error.contains("--tls-key"), "{error}");
    Ok(())
}
