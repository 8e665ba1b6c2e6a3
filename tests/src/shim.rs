//! A shim alone, on a port: in a foreign root, or another machine's.

use std::{
    ffi::OsStr,
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// Under an emulator everything takes its time.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running shim; ended when dropped.
#[derive(Debug)]
pub struct LoneShim {
    process: Child,
    /// `http://127.0.0.1:<port>`.
    pub url: String,
    stderr: tempfile::NamedTempFile,
}

impl LoneShim {
    /// Runs a command that becomes the shim, with this environment and nothing else of ours, and waits until its port
    /// takes connections.
    ///
    /// # Errors
    /// When it ends first; the message carries what it said.
    pub fn start<'a>(
        command: &mut Command,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> anyhow::Result<Self> {
        let port: u16 = free_port()?.parse()?;
        let stderr = tempfile::NamedTempFile::new()?;
        let process = command
            .env_clear()
            .env("PORT", port.to_string())
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr.reopen()?)
            .spawn()
            .with_context(|| format!("starting {:?}", command.get_program()))?;
        let mut shim = Self { process, url: format!("http://127.0.0.1:{port}"), stderr };
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = shim.process.try_wait()? {
                bail!("the shim ended with {status}: {}", shim.said());
            }
            if Instant::now() > end {
                bail!("the shim did not listen within {DEADLINE:?}: {}", shim.said());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(shim)
    }

    /// A GET, with a header where one is given: status and body.
    ///
    /// # Errors
    /// When there is no answer within the deadline; the message carries what the shim said.
    pub async fn get(&self, path: &str, header: Option<(&str, &str)>) -> anyhow::Result<(u16, String)> {
        let client = reqwest::Client::builder().timeout(DEADLINE).build()?;
        let mut request = client.get(format!("{}{path}", self.url));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = request.send().await.with_context(|| self.said())?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Tells it to stop, and answers its exit code.
    ///
    /// # Errors
    /// When it does not end within the deadline.
    pub fn stop(mut self) -> anyhow::Result<Option<i32>> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status.code());
            }
            if Instant::now() > end {
                bail!("the shim did not end within {DEADLINE:?}: {}", self.said());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.stderr.path()).unwrap_or_default()
    }
}

impl Drop for LoneShim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody uses now.
///
/// # Errors
/// When the machine has none.
pub fn free_port() -> std::io::Result<String> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port().to_string())
}

/// A command that runs `program` with `root` as its root directory and an unprivileged user.
#[must_use]
pub fn in_root(root: &std::path::Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/usr/sbin/chroot");
    command.arg("--userspec=1000:1000").arg(root).arg(program);
    command
}
