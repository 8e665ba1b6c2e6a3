//! `api.read`: GET of a function, 500 times a second, whether or not the answers before have come. The wait counts from
//! when a request was due.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::runtime::Handle;
use zipship_tests::Api;

use super::world::World;
use crate::samples::quantile_ms;

const PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;

/// The wait that 99 of 100 stay below.
pub(super) async fn p99_ms(world: &World) -> anyhow::Result<f64> {
    let (api, ids) = (world.server.api().clone(), world.functions.clone());
    let runtime = Handle::current();
    // A thread of its own: the runtime's timers are late by up to a millisecond, which is no wait for the server.
    let calls = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let call = |nth: u32| {
            let due = begun + Duration::from_secs(1) * nth / PER_SECOND;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // A prime step: neighbours in time are no neighbours in the store.
            let at = (nth as usize).wrapping_mul(7919) % ids.len();
            runtime.spawn(get(api.clone(), format!("functions/{}", ids[at]), due))
        };
        (0..PER_SECOND * SECONDS).map(call).collect::<Vec<_>>()
    });
    let waits: anyhow::Result<Vec<_>> = try_join_all(calls.await?).await?.into_iter().collect();
    let mut waits = waits?;
    let median = quantile_ms(&mut waits, 0.5).context("requests were made")?;
    eprintln!("half of the requests are answered within {median:.2} ms");
    quantile_ms(&mut waits, 0.99).context("requests were made")
}

async fn get(api: Api, path: String, due: Instant) -> anyhow::Result<Duration> {
    let answer = api.get(&path).await?;
    ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.text());
    Ok(due.elapsed())
}
