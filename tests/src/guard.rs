//! A program of others that is started and stopped as a test says, and goes with its folder when nobody can say
//! anything any more: also when the test was killed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, ensure};

const GUARD: &str = r#"
trap '' INT HUP TERM
server=
while read -r word; do
  case "$word" in
    start) "$@" >>"$FOLDER/log" 2>&1 & server=$! ;;
    stop) kill -INT "$server"; wait "$server"; server= ;;
    crash) kill -QUIT "$server"; wait "$server"; server= ;;
  esac
  echo done
done
[ -z "$server" ] || { kill -QUIT "$server"; wait "$server"; }
rm -rf "$FOLDER"
"#;

/// Who starts and stops the program.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Guard {
    /// A guard of a program that writes its log to `folder/log`; `shell` is `sh`, as who and where the program is to run.
    pub(crate) fn start(
        mut shell: Command,
        program: &Path,
        arguments: &[String],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        shell.args(["-c", GUARD, "guard"]).arg(program).args(arguments);
        shell.env("FOLDER", folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell =
            shell.spawn().with_context(|| format!("starting the guard of {}", program.display()))?;
        let answers = BufReader::new(shell.stdout.take().context("stdout is piped")?);
        Ok(Self { orders: shell.stdin.take(), shell, answers })
    }

    /// `start`, `stop` or `crash`.
    pub(crate) fn order(&mut self, word: &str) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("the guard listens")?;
        writeln!(orders, "{word}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer == "done\n", "the guard has ended");
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}
