//! `api.list`: all functions by pages; the last page beside the first.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::world::{FUNCTIONS, World};
use crate::samples::median_ms;

const PAGE_SIZE: usize = 100;
const ROUNDS: usize = 50;

/// Medians.
pub(super) struct List {
    pub(super) first_ms: f64,
    pub(super) last_ms: f64,
}

/// Reads every page once, and the two by turns after it.
pub(super) async fn measure(world: &World) -> anyhow::Result<List> {
    let pages = FUNCTIONS / PAGE_SIZE;
    let mut slowest = (0, Duration::ZERO);
    for number in 1..=pages {
        let took = page(world, number).await?;
        if took > slowest.1 {
            slowest = (number, took);
        }
    }
    eprintln!("the slowest of {pages} pages, read once each: number {} in {:.1?}", slowest.0, slowest.1);
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        first.push(page(world, 1).await?);
        last.push(page(world, pages).await?);
    }
    let median = |samples: &mut Vec<Duration>| median_ms(samples).context("pages were read");
    Ok(List { first_ms: median(&mut first)?, last_ms: median(&mut last)? })
}

async fn page(world: &World, number: usize) -> anyhow::Result<Duration> {
    let asked = Instant::now();
    let path = format!("functions?page={number}&page_size={PAGE_SIZE}");
    let answer = world.server.api().get(&path).await?;
    let took = asked.elapsed();
    let list = answer.json();
    let (rows, total) = (list["functions"].as_array().map(Vec::len), list["total_count"].as_u64());
    ensure!(
        rows == Some(PAGE_SIZE) && total == Some(FUNCTIONS as u64),
        "page {number}: {rows:?} of {total:?}"
    );
    Ok(took)
}
