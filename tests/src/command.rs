//! `zipship` as somebody with a terminal runs it.

use std::process::{Command, Output};

use anyhow::Context as _;
use serde_json::Value;

use crate::{Place, Server};

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Server {
    /// A command with this server's address and first key in its environment.
    ///
    /// # Errors
    /// When the program was not built.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
        command.args(arguments).env("ZIPSHIP_URL", self.api().url()).env("ZIPSHIP_API_KEY", self.api().key());
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        Ok(command)
    }

    /// Runs it.
    ///
    /// # Errors
    /// As for [`Server::command`].
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        Ok(Ran::of(self.command(arguments)?.output().context("zipship runs")?))
    }

    /// The JSON that a command prints which succeeds.
    ///
    /// # Errors
    /// With all that it said, when it does not.
    pub fn printed(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let ran = self.run(&[arguments, &["--json"]].concat())?;
        anyhow::ensure!(ran.code == Some(0), "{arguments:?}: {ran:?}");
        serde_json::from_str(&ran.stdout).with_context(|| format!("{arguments:?}: {ran:?}"))
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The last line of standard output.
    #[must_use]
    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}
