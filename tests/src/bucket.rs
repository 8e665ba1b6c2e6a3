//! A bucket of versitygw on loopback, over files that go with the process that started it, however it ends.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::ensure;

use crate::{Place, free_port, guard::Guard};

const START_DEADLINE: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(5);
const NAME: &str = "kept";
const PREFIX: &str = "of/tests";
const KEY_ID: &str = "id-of-the-tests";
/// Unusual, so that it can be looked for.
const SECRET: &str = "s3-s3cr3t-of-the-tests";

/// A bucket; gone with all that is in it when dropped, or when this process is killed.
#[derive(Debug)]
pub struct Bucket {
    folder: PathBuf,
    port: String,
    guard: Guard,
}

impl Bucket {
    /// Makes an empty one and waits until it answers.
    ///
    /// # Errors
    /// When versitygw is not installed, or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let program = Place::find()?.path("ZIPSHIP_CLIENTS")?.join("versitygw/versitygw");
        ensure!(program.exists(), "{}: run `scripts/setup test` first", program.display());
        // On a disk: not every file system in memory has attributes. In files of their own (`--sidecar`) they are not
        // changed at once with what they are of, so an object is a new one with the old one's bytes for a moment.
        let folder = tempfile::Builder::new().prefix("zipship-bucket-").tempdir_in("/var/tmp")?.keep();
        let files = folder.join("files");
        fs::create_dir_all(files.join(NAME))?;
        let port = free_port()?;
        let arguments = [
            "--quiet".to_owned(),
            format!("--port=127.0.0.1:{port}"),
            "posix".to_owned(),
            files.display().to_string(),
        ];
        let mut shell = Command::new("sh");
        shell.env("ROOT_ACCESS_KEY_ID", KEY_ID).env("ROOT_SECRET_ACCESS_KEY", SECRET);
        let guard = Guard::start(shell, &program, &arguments, &folder)?;
        let mut bucket = Self { folder, port, guard };
        bucket.resume()?;
        Ok(bucket)
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `s3://BUCKET/PREFIX` for a server.
    #[must_use]
    pub fn place(&self) -> String {
        format!("s3://{NAME}/{PREFIX}")
    }

    /// The id of its key.
    #[must_use]
    pub fn key_id(&self) -> &'static str {
        KEY_ID
    }

    /// What nobody may print.
    #[must_use]
    pub fn secret(&self) -> &'static str {
        SECRET
    }

    /// Ends it, keeping what is in it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.guard.order("stop")
    }

    /// Starts it again, at the same port.
    ///
    /// # Errors
    /// When it does not start; the message carries its log.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.guard.order("start")?;
        let started = Instant::now();
        while TcpStream::connect(format!("127.0.0.1:{}", self.port)).is_err() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            ensure!(started.elapsed() < START_DEADLINE, "versitygw does not listen; its log:\n{}", log());
            thread::sleep(POLL_EVERY);
        }
        Ok(())
    }

    /// What is below the prefix, by name.
    ///
    /// # Errors
    /// The disk's.
    pub fn objects(&self) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let mut found = BTreeMap::new();
        let top = self.file("");
        read(&top, &top, &mut found)?;
        Ok(found)
    }

    /// Changes an object behind everybody's back.
    ///
    /// # Errors
    /// The disk's.
    pub fn damage(&self, object: &str, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(fs::write(self.file(object), bytes)?)
    }

    /// Makes an object as old as this.
    ///
    /// # Errors
    /// The disk's.
    pub fn age(&self, object: &str, time: SystemTime) -> anyhow::Result<()> {
        Ok(File::options().write(true).open(self.file(object))?.set_modified(time)?)
    }

    fn file(&self, object: &str) -> PathBuf {
        self.folder.join("files").join(NAME).join(PREFIX).join(object)
    }
}

fn read(top: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(top, &path, found)?;
        } else {
            let name = path.strip_prefix(top)?.display().to_string();
            match fs::read(&path) {
                Ok(bytes) => drop(found.insert(name, bytes)),
                // It is being replaced.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
