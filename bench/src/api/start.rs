//! `api.start`: from the program's start until it says that it is ready; `api.rss`: what its processes take when nobody
//! has asked for a while.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::world::World;
use crate::samples;

const STARTS: usize = 5;
/// Until what its start took is given back.
const REST: Duration = Duration::from_secs(5);

/// Of several starts over the same data.
pub(super) fn median_ms(world: &mut World) -> anyhow::Result<f64> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        world.server.halt()?;
        let begun = Instant::now();
        world.server.launch(&[])?;
        starts.push(begun.elapsed());
    }
    samples::median_ms(&mut starts).context("it was started")
}

/// Resident memory of the program's processes together, after a start; pages that they share count once (PSS).
pub(super) fn memory_mb(world: &mut World) -> anyhow::Result<f64> {
    world.server.halt()?;
    world.server.launch(&[])?;
    std::thread::sleep(REST);
    let mut kilobytes = 0;
    for pid in world.server.processes()? {
        let own = proportional_kb(pid)?;
        eprintln!("process {pid}: {:.1} MB", own as f64 / 1000.0);
        kilobytes += own;
    }
    Ok(kilobytes as f64 * 1024.0 / 1e6)
}

fn proportional_kb(pid: u32) -> anyhow::Result<u64> {
    let file = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number =
        line.and_then(|line| line.trim().split(' ').next()).with_context(|| format!("no Pss in {file}"))?;
    Ok(number.parse()?)
}
