//! Rows that no peer has: how late a timeout fires, the shim's idle memory, its size.

use std::{fs, thread, time::Duration, time::Instant};

use anyhow::{Context, ensure};

use super::{places::Places, process::Server, subjects};
use crate::{
    peer::Peer,
    row::{Better, Row},
};

const RUNS: usize = 10;
const LIMIT: Duration = Duration::from_millis(200);
/// After its first answer, so that what a start allocates for a moment is gone.
const IDLE: Duration = Duration::from_secs(1);

/// From the deadline to the 504: the worst of ten.
pub(super) fn timeout(places: &Places) -> anyhow::Result<Vec<Row>> {
    let limit = LIMIT.as_millis().to_string();
    let server = Server::run(|port| {
        let mut shim = subjects::our_node(places, port);
        shim.env("SCW_TIMEOUT_MS", &limit);
        shim
    })?;
    let mut worst = Duration::ZERO;
    for _ in 0..RUNS {
        let sent = Instant::now();
        let (status, _) = server.get("/never").context("an answer")?;
        let took = sent.elapsed();
        ensure!(status == 504, "answered {status}");
        worst = worst.max(took.saturating_sub(LIMIT));
    }
    Ok(vec![alone(
        "runtime.timeout",
        worst.as_secs_f64() * 1000.0,
        "ms",
        "no peer ends a request at its limit",
    )])
}

/// Resident memory of the shim alone, its worker started and idle.
pub(super) fn rss(places: &Places) -> anyhow::Result<Vec<Row>> {
    let server = Server::run(|port| subjects::our_node(places, port))?;
    thread::sleep(IDLE);
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_ascii_whitespace().next());
    let kilobytes: f64 = kilobytes.context("the process has VmRSS")?.parse()?;
    let reason = "no peer's runtime is a process of its own";
    Ok(vec![alone("runtime.rss", kilobytes * 1024.0 / 1e6, "MB", reason)])
}

/// The static binary, as it is in every base image.
pub(super) fn binary(places: &Places) -> anyhow::Result<Vec<Row>> {
    let bytes = fs::metadata(&places.shim)?.len();
    let reason = "no peer's runtime is one binary";
    Ok(vec![alone("runtime.binary", bytes as f64 / 1e6, "MB", reason)])
}

fn alone(name: &'static str, value: f64, unit: &'static str, reason: &str) -> Row {
    Row::new(name, value, unit, Better::Less, Peer { name: "none", value: Err(reason.to_owned()) })
}
