//! `runtime.<language>.rps` and `.cpu`: 32 connections that ask as fast as they are answered.

use std::{process::Command, time::Duration};

use anyhow::{Context, ensure};

use super::{compare, name, subjects::Subject};
use crate::row::{Better, Row};

const CONNECTIONS: &str = "32";
/// A slow answer is slow, and no error.
const PATIENCE: &str = "20s";
const ROUNDS: usize = 3;
const SECONDS: u64 = 2;

pub(super) fn measure(language: &str, subjects: Vec<Subject<'_>>) -> anyhow::Result<Vec<Row>> {
    let measured = compare::in_turn(subjects, ROUNDS, |server| {
        let before = server.cpu();
        let load = run(server.port, SECONDS, &[])?;
        let cpu = server.cpu().saturating_sub(before);
        Ok([load.rate(), microseconds(cpu, load.requests)])
    })?;
    let mut rows = compare::rows(&measured, 0, name(language, "rps"), "1/s", Better::More);
    rows.extend(compare::rows(&measured, 1, name(language, "cpu"), "us", Better::Less));
    Ok(rows)
}

/// A time's share of one request.
pub(super) fn microseconds(time: Duration, requests: u64) -> f64 {
    time.as_secs_f64() * 1e6 / requests as f64
}

/// What wrk saw.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    pub(super) requests: u64,
    seconds: f64,
}

impl Load {
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Asks `/` of a port for so many seconds.
///
/// # Errors
/// When wrk is not there, and when any answer is not 200 or is missing: a server that refuses is fast.
pub(super) fn run(port: u16, seconds: u64, headers: &[String]) -> anyhow::Result<Load> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "--timeout", PATIENCE, "-c", CONNECTIONS, "-d"]).arg(format!("{seconds}s"));
    for header in headers {
        wrk.arg("-H").arg(header);
    }
    let output = wrk.arg(format!("http://127.0.0.1:{port}/")).output().context("wrk is not installed")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {}", String::from_utf8_lossy(&output.stderr));
    parse(&text)
}

fn parse(text: &str) -> anyhow::Result<Load> {
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        anyhow::bail!("under load: {}", line.trim());
    }
    let found = text.lines().find_map(|line| {
        let (requests, rest) = line.trim().split_once(" requests in ")?;
        let (time, _) = rest.split_once(',')?;
        let seconds = match time.strip_suffix("ms") {
            Some(milliseconds) => milliseconds.parse::<f64>().ok()? / 1000.0,
            None => time.strip_suffix('s')?.parse().ok()?,
        };
        Some(Load { requests: requests.parse().ok()?, seconds })
    });
    found.filter(|load| load.requests > 0).with_context(|| format!("wrk printed no result: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  \
        54321 requests in 2.01s, 6.2MB read\nRequests/sec:  27015.93\n";

    #[test]
    fn what_wrk_prints() {
        assert_eq!(parse(GOOD).unwrap(), Load { requests: 54321, seconds: 2.01 });
    }

    #[test]
    fn refusals_are_no_speed() {
        for line in
            ["  Non-2xx or 3xx responses: 5", "  Socket errors: connect 0, read 3, write 0, timeout 0"]
        {
            assert!(parse(&format!("{GOOD}{line}\n")).is_err(), "{line}");
        }
        assert!(parse("").is_err());
    }
}
