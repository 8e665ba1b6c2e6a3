//! `zipship logs`: the log of a function or container.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use api_server::logs::{id_of, number_of};
use clap::Args;
use contract::{
    api::{Log, Logs as Page},
    instance::LogStream,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Deserialize as _;

use super::{registry::wait, resource::find_application};
use crate::api::{Access, Api, Refused};

/// Lines that are asked for at once.
const PAGE: u64 = 100;
/// Between two looks for new lines, and between two tries of a server that does not answer.
const PAUSE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(1);

/// What a function or container said, and what the platform did with it; the oldest line first.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The function or container, by name or id.
    #[arg(value_name = "NAME_OR_ID")]
    which: String,
    /// Its namespace, by name or id; not needed for a name that is in one namespace only.
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The newest so many lines.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    lines: u64,
    /// Then all that comes, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    access: Access,
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(logs: &Logs) -> anyhow::Result<ExitCode> {
    let api = logs.access.client()?;
    match wait(logs.run(&api))? {
        // Whoever read has enough.
        Err(error) if is_closed(&error) => Ok(ExitCode::SUCCESS),
        ran => ran.map(|()| ExitCode::SUCCESS),
    }
}

impl Logs {
    async fn run(&self, api: &Api) -> anyhow::Result<()> {
        let found = find_application(api, &self.which, self.namespace.as_deref()).await?;
        let id = utf8_percent_encode(&found.id, NON_ALPHANUMERIC).to_string();
        let (newest, end) = newest(api, &id, self.lines).await?;
        self.tell(&newest)?;
        if self.follow { self.follow(api, &id, end).await } else { Ok(()) }
    }

    /// Tells what comes from the line `next` on. Ends with an error, or never.
    async fn follow(&self, api: &Api, id: &str, mut next: u64) -> anyhow::Result<()> {
        let mut is_away = false;
        loop {
            let after = next.checked_sub(1).map(|last| format!("&after={}", id_of(last))).unwrap_or_default();
            let query = format!("application_id={id}&order_by=timestamp_asc&page_size={PAGE}{after}");
            match page(api, &query).await {
                Ok(page) => {
                    if std::mem::take(&mut is_away) {
                        eprintln!("the server answers again");
                    }
                    self.tell(&page.logs)?;
                    let Some(last) = page.logs.last() else {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    };
                    next = number(&last.id)? + 1;
                }
                Err(error) if passes(&error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        eprintln!("the server does not answer, this goes on when it does: {error:#}");
                    }
                    tokio::time::sleep(PATIENCE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&self, lines: &[Log]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for line in lines {
            if self.json {
                serde_json::to_writer(&mut out, line).map_err(io::Error::from)?;
                writeln!(out)?;
            } else {
                writeln!(out, "{}", text(line))?;
            }
        }
        Ok(out.flush()?)
    }
}

/// The newest lines, the oldest first, and the number of the line after them.
async fn newest(api: &Api, id: &str, count: u64) -> anyhow::Result<(Vec<Log>, u64)> {
    let (mut lines, mut end, mut before) = (Vec::new(), None, String::new());
    loop {
        let left = count - lines.len() as u64;
        let query = format!("application_id={id}&page_size={}{before}", left.clamp(1, PAGE));
        let mut page = page(api, &query).await?;
        if end.is_none() {
            end = Some(number(&page.end)?);
        }
        page.logs.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(oldest) = page.logs.last() else { break };
        before = format!("&before={}", oldest.id);
        lines.append(&mut page.logs);
    }
    lines.reverse();
    Ok((lines, end.unwrap_or_default()))
}

async fn page(api: &Api, query: &str) -> anyhow::Result<Page> {
    let answer = api.call(Method::GET, &format!("logs?{query}"), None).await?;
    Page::deserialize(answer).context("the server's answer is no page of a log")
}

fn number(id: &str) -> anyhow::Result<u64> {
    number_of(id).with_context(|| format!("the server's answer has the id {id:?}, which is none of a line"))
}

/// A line as people read it: when, who, what.
fn text(line: &Log) -> String {
    let stream = match line.stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Platform => "platform",
    };
    // A fraction of a second has no zeros at its end.
    format!("{:<24}  {stream:<8}  {}", line.timestamp, line.message)
}

/// Whether the same may succeed later: nobody answered, or the server says that it is its own fault.
fn passes(error: &anyhow::Error) -> bool {
    if error.is::<io::Error>() {
        return false;
    }
    error.downcast_ref::<Refused>().is_none_or(Refused::is_passing)
}

fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_when_who_and_what() {
        let line = Log {
            id: id_of(1),
            message: "hello".into(),
            timestamp: "2026-11-23T12:00:00.5Z".into(),
            stream: LogStream::Stderr,
            instance_id: None,
            request_id: None,
            part: 0,
        };
        assert_eq!(text(&line), "2026-11-23T12:00:00.5Z    stderr    hello");
    }
}
