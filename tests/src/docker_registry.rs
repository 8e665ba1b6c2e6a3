//! Debian's docker-registry on loopback: a store of its own, and a log that tells its requests.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::{Place, free_port};

const START_DEADLINE: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(5);
/// A request is logged after its answer; nothing more within this time means that all are.
const LOG_QUIET: Duration = Duration::from_millis(50);

/// Killed when dropped, and its store with it.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    /// `127.0.0.1:port`.
    pub address: String,
    log: PathBuf,
    _folder: TempDir,
}

impl DockerRegistry {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, or ends at once.
    pub fn start() -> anyhow::Result<Self> {
        let program =
            Place::find()?.existing("ZIPSHIP_CLIENTS")?.join("docker-registry/usr/bin/docker-registry");
        let folder = tempfile::Builder::new().prefix("zipship-docker-registry-").tempdir()?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let (configuration, log) = (folder.path().join("config.yml"), folder.path().join("log"));
        let store = folder.path().join("store");
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address}}}\n",
                store.display()
            ),
        )?;
        let out = File::create(&log)?;
        let mut command = Command::new(&program);
        command.arg("serve").arg(&configuration).env("OTEL_TRACES_EXPORTER", "none");
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let mut registry = Self { child, address, log, _folder: folder };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("docker-registry: {status}: {}", fs::read_to_string(&self.log)?);
            }
            ensure!(started.elapsed() < START_DEADLINE, "docker-registry does not listen");
            thread::sleep(POLL_EVERY);
        }
        Ok(())
    }

    /// How many requests it has answered so far, when nobody sends more.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn requests(&self) -> anyhow::Result<usize> {
        let mut before = None;
        loop {
            let log = fs::read_to_string(&self.log)?;
            let now = log.lines().filter(|line| line.contains(" HTTP/1.1\" ")).count();
            if before == Some(now) {
                return Ok(now);
            }
            before = Some(now);
            thread::sleep(LOG_QUIET);
        }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
