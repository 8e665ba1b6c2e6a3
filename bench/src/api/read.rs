//! `api.read`: GET of a function, 500 times a second, whether or not the answers before have come. The wait counts from
//! when a request was due.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;

use super::world::World;
use crate::samples::quantile_ms;

const PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;

/// The wait that 99 of 100 stay below.
pub(super) async fn p99_ms(world: &World) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut calls = Vec::new();
    for nth in 0..PER_SECOND * SECONDS {
        let due = begun + Duration::from_secs(1) * nth / PER_SECOND;
        tokio::time::sleep_until(due.into()).await;
        // A prime step: neighbours in time are no neighbours in the store.
        let at = (nth as usize).wrapping_mul(7919) % world.functions.len();
        let (api, path) = (world.server.api().clone(), format!("functions/{}", world.functions[at]));
        calls.push(tokio::spawn(async move {
            let answer = api.get(&path).await?;
            ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.text());
            Ok(due.elapsed())
        }));
    }
    let waits: Result<Vec<_>, _> = try_join_all(calls).await?.into_iter().collect();
    quantile_ms(&mut waits?, 0.99).context("requests were made")
}
