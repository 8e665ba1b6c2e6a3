//! The real `zipship serve`, in a data folder of its own.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    Api, Place,
    disk::Disk,
    leftovers::{self, Leftovers},
};

/// The first start stores the base images too.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// Running requests have ten seconds, the rest is tidying.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A running server. Stop it with [`Server::stop`]; dropped otherwise (a failing test), it is ended without questions.
#[derive(Debug)]
pub struct Server {
    /// Before the folder that it is in.
    disk: Option<Disk>,
    /// Where the base images are, if it has not all of them.
    images: Option<PathBuf>,
    folder: TempDir,
    arguments: Vec<String>,
    listen: String,
    child: Option<Child>,
    api: Api,
}

/// `credentials.json` of the data folder.
#[derive(Debug, Deserialize)]
struct Credentials {
    organization_id: String,
    api_key: String,
}

impl Server {
    /// Starts a server with an empty data folder, and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it cannot be started or ends before it is ready; the message carries its log.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Like [`Server::start`], with more arguments.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut server = Self::prepare("127.0.0.1:0", arguments)?;
        server.launch(&[])?;
        Ok(server)
    }

    /// An empty data folder for a server that keeps its address over restarts; nothing runs until
    /// [`Server::launch`].
    ///
    /// # Errors
    /// When no port is free.
    pub fn at_fixed_port() -> anyhow::Result<Self> {
        Self::at_fixed_port_with(&[])
    }

    /// Like [`Server::at_fixed_port`], with more arguments.
    ///
    /// # Errors
    /// When no port is free.
    pub fn at_fixed_port_with(arguments: &[&str]) -> anyhow::Result<Self> {
        // Below the ports that the kernel gives to clients.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = 20_000 + u16::try_from(std::process::id() % 5_000)?;
        let free = (0..5_000).find_map(|_| {
            let address = format!("127.0.0.1:{}", first + NEXT.fetch_add(1, Ordering::Relaxed));
            TcpListener::bind(&address).is_ok().then_some(address)
        });
        Self::prepare(&free.context("a free port")?, arguments)
    }

    fn prepare(listen: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("zipship-e2e-").tempdir()?;
        // The server has no privileges, so it must be able to walk to its own data.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self {
            disk: None,
            images: None,
            folder,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            listen: listen.to_owned(),
            child: None,
            api: Api::nowhere(),
        })
    }

    /// With these base images alone; before the first [`Server::launch`].
    ///
    /// # Errors
    /// When one was not built.
    pub fn with_bases(mut self, bases: &[&str]) -> anyhow::Result<Self> {
        let (all, own) = (Place::find()?.existing("ZIPSHIP_IMAGES")?, self.folder.path().join("images"));
        fs::create_dir(&own)?;
        for base in bases {
            let of = fs::canonicalize(all.join(base)).with_context(|| format!("there is no base {base}"))?;
            symlink(of, own.join(base))?;
        }
        self.images = Some(own);
        Ok(self)
    }

    /// With a disk of so many megabytes for what the server itself keeps: `server/` of the data folder; before the
    /// first [`Server::launch`].
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn with_disk(mut self, megabytes: u32) -> anyhow::Result<Self> {
        self.disk = Some(Disk::mount(&self.data().join("server"), megabytes)?);
        Ok(self)
    }

    /// Leaves no byte of [`Server::with_disk`] free.
    ///
    /// # Errors
    /// When there is no such disk, or it cannot be written.
    pub fn fill_disk(&self) -> anyhow::Result<()> {
        self.disk.as_ref().context("it has no disk of its own")?.fill()
    }

    /// Gives back what [`Server::fill_disk`] took.
    ///
    /// # Errors
    /// When there is no such disk, or it was not full.
    pub fn free_disk(&self) -> anyhow::Result<()> {
        self.disk.as_ref().context("it has no disk of its own")?.free()
    }

    /// Starts the program again over the same data, with more variables in its environment.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn launch(&mut self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        let place = Place::find()?;
        let mut child = Command::new(place.existing("ZIPSHIP_BIN")?)
            .arg("serve")
            .arg("--data")
            .arg(self.data())
            .args(["--listen", &self.listen, "--json"])
            .arg("--images-dir")
            .arg(self.images.clone().map_or_else(|| place.existing("ZIPSHIP_IMAGES"), Ok)?)
            .arg("--go-root")
            .arg(place.existing("ZIPSHIP_GO_ROOT")?)
            .arg("--go-cache")
            .arg(place.existing("ZIPSHIP_GO_CACHE")?)
            .args(["--go-proxy", crate::module_proxy()?])
            .args(&self.arguments)
            // Callers of most tests need no time to go elsewhere.
            .env("ZIPSHIP_DRAIN", "0")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(self.log_path())?)
            .spawn()
            .context("starting zipship serve")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        self.child = Some(child);
        let url =
            wait_until_ready(stdout).with_context(|| format!("zipship serve, its log:\n{}", self.log()))?;
        let credentials: Credentials =
            serde_json::from_slice(&fs::read(self.data().join("credentials.json"))?)?;
        self.api = Api::new(url, credentials.api_key, credentials.organization_id);
        Ok(())
    }

    /// A client with the key that the server made at its first start.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Process id of the program as started (it waits for the launcher).
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it in order, and asserts that it leaves nothing behind.
    ///
    /// # Errors
    /// When it does not end in time, ends with a failure, or leaves something: the message lists what.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.halt()
    }

    /// Like [`Server::stop`], keeping the data for another [`Server::launch`].
    ///
    /// # Errors
    /// As for [`Server::stop`].
    pub fn halt(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server runs")?;
        let leftovers = self.leftovers(&child);
        signal(&child, Signal::TERM);
        let ended = wait_for_end(&mut child, STOP_DEADLINE);
        if !matches!(ended, Some(status) if status.success()) {
            signal(&child, Signal::KILL);
            bail!("zipship serve ended with {ended:?} after SIGTERM; its log:\n{}", self.log());
        }
        leftovers.assert_gone()
    }

    /// `kill -9` of the process as started; waits until all that it had started is gone with it.
    ///
    /// # Errors
    /// When something outlives it: the message lists what.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server runs")?;
        let leftovers = self.leftovers(&child);
        signal(&child, Signal::KILL);
        child.wait()?;
        leftovers.assert_no_process()
    }

    /// `kill -9` of the launcher, the first child; what the user started ends with it, and all else is gone.
    ///
    /// # Errors
    /// When something outlives it: the message lists what.
    pub fn kill_launcher(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server runs")?;
        let leftovers = self.leftovers(&child);
        kill_only(&leftovers::children(child.id(), "serve"))?;
        if wait_for_end(&mut child, STOP_DEADLINE).is_none() {
            signal(&child, Signal::KILL);
            bail!("zipship serve outlives its launcher; its log:\n{}", self.log());
        }
        leftovers.assert_no_process()
    }

    /// `kill -9` of the unprivileged process that serves; the launcher starts it again.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill_api(&self) -> anyhow::Result<()> {
        let launcher = leftovers::children(self.pid().context("the server runs")?, "serve");
        let launcher = launcher.first().context("there is no launcher")?;
        kill_only(&leftovers::children(*launcher, "server"))
    }

    /// Process ids of the program as started, of the launcher, and of the server.
    ///
    /// # Errors
    /// When it does not run.
    pub fn processes(&self) -> anyhow::Result<Vec<u32>> {
        let mut all = vec![self.pid().context("the server runs")?];
        all.extend(leftovers::children(all[0], "serve"));
        let launcher = *all.get(1).context("there is no launcher")?;
        all.extend(leftovers::children(launcher, "server"));
        Ok(all)
    }

    /// Ids of all its processes, those of sandboxes included.
    #[must_use]
    pub fn all_processes(&self) -> Vec<u32> {
        let all = self.pid().map(leftovers::descendants);
        all.into_iter().flatten().map(|(pid, _)| pid).collect()
    }

    /// Ids of its sandboxes in which something runs now.
    #[must_use]
    pub fn sandboxes(&self) -> BTreeSet<String> {
        leftovers::sandboxes(&self.data())
    }

    /// Ids of the processes of a sandbox, as this machine has them.
    #[must_use]
    pub fn processes_of(&self, sandbox: &str) -> Vec<u32> {
        leftovers::processes_of(&self.data(), sandbox)
    }

    fn leftovers(&self, child: &Child) -> Leftovers {
        Leftovers::of(child.id(), &self.data(), self.disk.as_ref().map(Disk::path))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        eprintln!("zipship serve was not stopped in order; the end of its log:\n{}", tail(&self.log(), 60));
        signal(&child, Signal::TERM);
        if wait_for_end(&mut child, STOP_DEADLINE).is_none() {
            signal(&child, Signal::KILL);
            let _ = child.wait();
        }
    }
}

/// Reads stdout to the line that says where it answers; goes on reading, so that the pipe never fills.
fn wait_until_ready(stdout: ChildStdout) -> anyhow::Result<String> {
    let (lines, ready) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("zipship is ready at ") {
                let _ = lines.send(url.trim().to_owned());
            }
        }
    });
    match ready.recv_timeout(START_DEADLINE) {
        Ok(url) => Ok(url),
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("it ended before it was ready"),
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("it was not ready within {START_DEADLINE:?}"),
    }
}

fn signal(child: &Child, signal: Signal) {
    // It may have ended by itself: then there is nobody to tell.
    let _ = kill_process(Pid::from_child(child), signal);
}

fn kill_only(found: &[u32]) -> anyhow::Result<()> {
    let [pid] = found else { bail!("one process was expected, found {found:?}") };
    let pid = Pid::from_raw(i32::try_from(*pid)?).context("a process id is positive")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

fn wait_for_end(child: &mut Child, within: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(20));
    }
    None
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Whether a path lies in a folder, by text: mounts that are gone cannot be resolved any more.
pub(crate) fn mentions(text: &str, folder: &Path) -> bool {
    folder.to_str().is_some_and(|folder| text.contains(folder))
}
