//! `zipship logs`: the newest lines, and what comes after them, over a restart of the server.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use zipship_tests::{Function, Place, Server, Zip};

use super::{NODE, log_when, messages};

const LIMIT: Duration = Duration::from_secs(30);
const SAYS: &str =
    "module.exports.handle = async (event) => { console.log(`path ${event.path}`); return 'done'; };";

fn command(server: &Server, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
    command.arg("logs").args(arguments);
    command.env("ZIPSHIP_URL", server.api().url()).env("ZIPSHIP_API_KEY", server.api().key());
    command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
    Ok(command)
}

/// A command that goes on, and the lines that it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let (sender, lines) = channel();
        let out = child.stdout.take().context("stdout is piped")?;
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, lines })
    }

    /// Messages up to the one with this text.
    fn until(&self, message: &str) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        loop {
            let line =
                self.lines.recv_timeout(LIMIT).with_context(|| format!("{message:?} after {found:?}"))?;
            let line: Value = serde_json::from_str(&line)?;
            found.push(line["message"].as_str().context("a message")?.to_owned());
            if found.last().is_some_and(|last| last == message) {
                return Ok(found);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn following_a_log_repeats_and_misses_no_line_over_a_restart() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::deployed(server.api(), NODE, &Zip::of("handler.js", SAYS)).await?;
    let call = async |number: u32| {
        let answer = function.request(reqwest::Method::GET, &format!("/{number}")).send().await?;
        anyhow::ensure!(answer.status() == 200, "{}", answer.status());
        anyhow::Ok(())
    };
    for number in 0..5 {
        call(number).await?;
    }
    log_when(server.api(), &function.id, |lines| messages(lines).contains(&"path /4")).await?;

    let newest = command(&server, &[&function.id, "-n", "2"])?.output()?;
    let newest = String::from_utf8(newest.stdout)?;
    let newest: Vec<_> =
        newest.lines().map(|line| line.split_once("path /").map(|(_, number)| number)).collect();
    assert_eq!(newest, [Some("3"), Some("4")]);

    let mut following =
        Following::start(command(&server, &[&function.id, "--follow", "--json", "-n", "1"])?)?;
    assert_eq!(following.until("path /4")?, ["path /4"]);
    for number in 5..300 {
        call(number).await?;
    }
    let expected: Vec<_> = (5..300).map(|number| format!("path /{number}")).collect();
    assert_eq!(following.until("path /299")?, expected);
    server.halt()?;
    thread::sleep(Duration::from_millis(500));
    server.launch(&[])?;
    call(300).await?;
    let over = following.until("path /300")?;
    let events: Vec<_> = over.iter().map(|message| message.split(" in ").next().unwrap()).collect();
    let stopped = "the instance was stopped: its application is deleted, or the server ends";
    assert_eq!(events, [stopped, "cold start: an instance was ready", "path /300"]);

    following.child.kill()?;
    following.child.wait()?;
    server.stop()
}
