//! The nouns of the tests: a directory with a handler, one `zipship invoke`, a `zipship dev` that runs.

mod dev;
mod http;
mod processes;
mod served;
#[path = "../../../../tests/settings.rs"]
mod settings;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use self::dev::Dev;
pub(crate) use self::http::{Connection, Response};
pub(crate) use self::processes::Processes;
pub(crate) use self::served::{Served, error};
pub(crate) use self::settings::setting;

/// How long anything may take before a test fails. A first Go compilation takes longest.
pub(crate) const DEADLINE: Duration = Duration::from_secs(240);

/// A directory with a handler, and a folder for temporary files beside it.
pub(crate) struct Project {
    directory: TempDir,
    temporary: TempDir,
}

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let new = || tempfile::tempdir().expect("a directory");
        let project = Self { directory: new(), temporary: new() };
        files.iter().for_each(|(name, text)| project.write(name, text));
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file, as `>` of a shell does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    /// Writes a file beside and moves it over the old one, as most editors do.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let scratch = format!("{name}~");
        self.write(&scratch, text);
        std::fs::rename(self.path().join(scratch), self.path().join(name)).expect("a file");
    }

    /// What lies in it.
    pub(crate) fn listing(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        list(self.path(), &mut found);
        found.sort();
        found
    }

    /// `zipship` with the shim and the workers of this checkout.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zipship"));
        command.args(arguments).arg("--shim").arg(shim());
        command.args(["--workers", concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime-shim/workers")]);
        command.env("TMPDIR", self.temporary.path()).stdin(Stdio::null()).env_remove("NO_COLOR");
        command
    }

    /// Runs `zipship invoke --local` in it.
    pub(crate) fn invoke(&self, arguments: &[&str]) -> Invoked {
        self.invoke_with(arguments, |_| {})
    }

    pub(crate) fn invoke_with(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Invoked {
        let directory = self.path().to_str().expect("text");
        let mut command = self.command(&[&["invoke", "--local", directory], arguments].concat());
        change(&mut command);
        let output = command.output().expect("zipship runs");
        let invoked = Invoked::of(&output);
        assert_eq!(self.left_behind(), Vec::<PathBuf>::new(), "{invoked:?}");
        invoked
    }

    /// Temporary files that are left.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        list(self.temporary.path(), &mut found);
        found
    }

    /// Starts `zipship dev` in it and waits until it is ready.
    pub(crate) fn dev(self, arguments: &[&str]) -> Dev {
        Dev::start(self, arguments)
    }

    pub(crate) fn dev_command(&self, arguments: &[&str]) -> Command {
        let directory = self.path().to_str().expect("text");
        self.command(&[&["dev", directory], arguments].concat())
    }
}

fn list(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        found.push(entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), found);
        }
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Invoked {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Invoked {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The shim of this checkout: beside `zipship` when the whole workspace is tested, else built now.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let beside = Path::new(env!("CARGO_BIN_EXE_zipship")).with_file_name("zipship-shim");
        if !beside.exists() {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "-p", "runtime-shim", "--bins"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(built.expect("cargo").success(), "the shim builds");
        }
        beside
    })
}

/// Looks again and again until it is so. For what nobody announces.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "not so within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
