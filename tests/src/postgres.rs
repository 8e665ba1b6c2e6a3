//! Debian's PostgreSQL on loopback, with data of its own that go with the process that started it, however it ends.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::{Place, free_port, guard::Guard};

const START_DEADLINE: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(5);
/// PostgreSQL refuses root: then it is run as `nobody`.
const NOBODY: u32 = 65_534;
/// The superuser's, for connections over TCP. Unusual, so that it can be looked for.
const PASSWORD: &str = "p4ss-w0rd-of-the-tests";

/// A server; gone with its data when dropped, or when this process is killed.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    root: PathBuf,
    programs: PathBuf,
    port: String,
    guard: Guard,
}

impl Postgres {
    /// Makes an empty one and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let root = Place::find()?.existing("ZIPSHIP_CLIENTS")?.join("postgresql");
        let programs = only(&root.join("usr/lib/postgresql"))
            .with_context(|| format!("{}: run `scripts/setup test` first", root.display()))?
            .join("bin");
        let folder = tempfile::Builder::new().prefix("zipship-postgres-").tempdir()?.keep();
        if rustix::process::geteuid().is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY))?;
        }
        let made = make(&root, &programs, &folder);
        let port = free_port()?;
        let server = made.and_then(|()| {
            let program = programs.join("postgres");
            let shell = unprivileged("sh", &root, &folder);
            let guard = Guard::start(shell, &program, &settings(&folder, &port), &folder)?;
            let (folder, root, programs) = (folder.clone(), root.clone(), programs.clone());
            Ok(Self { folder, root, programs, port, guard })
        });
        let mut server = server.inspect_err(|_| drop(fs::remove_dir_all(&folder)))?;
        server.resume()?;
        Ok(server)
    }

    /// URL of a database, over TCP, with the superuser's password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://zipship:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// URL of a database, over the Unix socket, without a password.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        format!("postgres:///{database}?user=zipship&host={}&port={}", self.folder.display(), self.port)
    }

    /// What nobody may print.
    #[must_use]
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Ends all connections and the server, keeping the data.
    ///
    /// # Errors
    /// When it does not end.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.guard.order("stop")
    }

    /// Ends the server as a failure does: it writes nothing down any more, and its next start has to recover. What was
    /// committed within the last moments is kept only for connections with `synchronous_commit`.
    ///
    /// # Errors
    /// When it does not end.
    pub fn crash(&mut self) -> anyhow::Result<()> {
        self.guard.order("crash")
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A client program that came with it, such as `pg_dump`.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// With these variables a shell finds the client programs by their names.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut variables = vec![("PATH", format!("{}:{path}", self.programs.display()))];
        variables
            .extend(libraries(&self.root).map(|folder| ("LD_LIBRARY_PATH", folder.display().to_string())));
        variables
    }

    /// Starts the server again, at the same port.
    ///
    /// # Errors
    /// When it does not start; the message carries its log.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.guard.order("start")?;
        let started = Instant::now();
        while !self.is_ready() {
            ensure!(started.elapsed() < START_DEADLINE, "PostgreSQL is not ready; its log:\n{}", self.log());
            thread::sleep(POLL_EVERY);
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let pid_file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        pid_file.lines().nth(7).is_some_and(|state| state.trim() == "ready")
    }
}

/// A cluster in `folder/data`.
fn make(root: &Path, programs: &Path, folder: &Path) -> anyhow::Result<()> {
    let password = folder.join("password");
    fs::write(&password, PASSWORD)?;
    let output = unprivileged(programs.join("initdb"), root, folder)
        .args(["--username=zipship", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8"])
        .args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"])
        .arg(format!("--pwfile={}", password.display()))
        .arg("-D")
        .arg(folder.join("data"))
        .output()
        .context("running initdb")?;
    if !output.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Nothing here must outlive a power cut.
fn settings(folder: &Path, port: &str) -> Vec<String> {
    let mut arguments = vec!["-D".to_owned(), folder.join("data").display().to_string()];
    let settings = [
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.display()),
        "listen_addresses=127.0.0.1".to_owned(),
        "max_connections=300".to_owned(),
        "fsync=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "synchronous_commit=off".to_owned(),
        "autovacuum=off".to_owned(),
        "jit=off".to_owned(),
    ];
    for setting in settings {
        arguments.extend(["-c".to_owned(), setting]);
    }
    arguments
}

fn unprivileged(program: impl AsRef<std::ffi::OsStr>, root: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    if let Some(libraries) = libraries(root) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command.current_dir(folder).stdin(Stdio::null()).env_remove("PGDATA");
    command
}

/// What the machine may lack.
fn libraries(root: &Path) -> Option<PathBuf> {
    let mut folders = fs::read_dir(root.join("usr/lib")).ok()?.flatten().map(|entry| entry.path());
    folders.find(|path| path.to_string_lossy().ends_with("-linux-gnu"))
}

/// The one entry of a folder.
fn only(folder: &Path) -> anyhow::Result<PathBuf> {
    let entry = fs::read_dir(folder)?.next().context("an empty folder")?;
    Ok(entry?.path())
}
