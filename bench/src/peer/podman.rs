//! `podman --runtime runc run` of the very image that our registry holds, until its first 200.
//!
//! The container gets the host's network: what podman needs to set up a network of its own is left out, in its favour.

use std::{
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use reqwest::Method;
use tempfile::TempDir;
use zipship_tests::{Api, Function};

use crate::samples::median_ms;

const RUNS: usize = 10;
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Fine enough beside a start of tens of milliseconds.
const POLL_EVERY: Duration = Duration::from_millis(1);

/// Median of ten starts, in milliseconds.
///
/// # Errors
/// When podman is not there or does not run the image: the reason for the row.
pub(crate) async fn cold_start(api: &Api, function: &Function) -> anyhow::Result<f64> {
    let storage = tempfile::Builder::new().prefix("zipship-podman-").tempdir()?;
    let image = pull(&storage, api, &image_of(api, function).await?)?;
    let mut samples = Vec::new();
    for run in 0..RUNS {
        samples.push(one_start(&storage, &image, api, &format!("zipship-bench-{run}")).await?);
    }
    let unmount = podman(&storage).args(["system", "reset", "--force"]).output()?;
    succeed(&unmount)?;
    median_ms(&mut samples).context("samples were taken")
}

/// podman with a storage of its own, and no systemd behind it.
fn podman(storage: &TempDir) -> Command {
    let mut command = Command::new("podman");
    command.arg("--root").arg(storage.path().join("root"));
    command.arg("--runroot").arg(storage.path().join("run"));
    command.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
    command
}

/// `host:port/namespace/name-id:latest`.
async fn image_of(api: &Api, function: &Function) -> anyhow::Result<String> {
    let namespace = api.get(&format!("namespaces/{}", function.namespace)).await?.expect(200);
    let name = api.get(&format!("functions/{}", function.id)).await?.expect(200);
    let registry = namespace["registry_endpoint"].as_str().context("registry_endpoint is a string")?;
    let name = name["name"].as_str().context("name is a string")?;
    let id = function.id.get(..8).context("an id is a UUID")?;
    Ok(format!("{registry}/{name}-{id}:latest"))
}

fn pull(storage: &TempDir, api: &Api, image: &str) -> anyhow::Result<String> {
    let credentials = format!("nologin:{}", api.key());
    let pulled = podman(storage)
        .args(["pull", "--quiet", "--tls-verify=false", "--creds", &credentials, image])
        .output()
        .context("podman is not installed")?;
    succeed(&pulled)?;
    Ok(image.to_owned())
}

async fn one_start(storage: &TempDir, image: &str, api: &Api, name: &str) -> anyhow::Result<Duration> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let started = Instant::now();
    let mut child = podman(storage)
        .args(["run", "--rm", "--name", name, "--network", "host"])
        // Podman asks for more than some machines grant.
        .args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"])
        .args(["-e", "SCW_PUBLIC=true", "-e", &format!("PORT={port}"), image])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let first = first_200(api, port, started, &mut child).await;
    let stopped = podman(storage).args(["kill", name]).output()?;
    child.wait()?;
    if first.is_ok() {
        succeed(&stopped)?;
    }
    first
}

async fn first_200(api: &Api, port: u16, started: Instant, child: &mut Child) -> anyhow::Result<Duration> {
    let url = format!("http://127.0.0.1:{port}/");
    while started.elapsed() < START_DEADLINE {
        if let Ok(response) = api.request(Method::GET, &url).send().await
            && response.status() == 200
        {
            return Ok(started.elapsed());
        }
        if let Some(status) = child.try_wait()? {
            bail!("podman run ended before it answered: {status}");
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    bail!("no 200 from podman's container within {START_DEADLINE:?}")
}

fn succeed(output: &Output) -> anyhow::Result<()> {
    if !output.status.success() {
        bail!("podman failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
