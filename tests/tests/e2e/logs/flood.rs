//! One that says too much is cut, counted, and nobody else's trouble.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use zipship_tests::{Function, Server, Zip};

use super::{NODE, container, log, log_when, messages};
use crate::containers::namespace;

const LINES: u64 = 100_000;
const CALLS: usize = 100;
/// Both run on a machine that is busy with the flood, so this says that nobody waits for it, and no more.
const SLOWER: u32 = 10;
const ALLOWANCE: Duration = Duration::from_millis(500);

/// Calls one after the other, each of which says a line; the slowest but for one in twenty.
async fn calls(function: &Function, round: &str) -> anyhow::Result<Duration> {
    let mut took = Vec::new();
    for number in 0..CALLS {
        let begun = Instant::now();
        let answer = function.request(reqwest::Method::GET, &format!("/{round}-{number}")).send().await?;
        assert_eq!(answer.status(), 200);
        took.push(begun.elapsed());
    }
    took.sort();
    Ok(took[CALLS * 95 / 100])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_loses_and_slows_nothing_of_another() -> anyhow::Result<()> {
    let server = Server::start_with(&["--log-rate", "200", "--log-burst", "1000"])?;
    let api = server.api();
    let (namespace, _) = namespace(api, "flood").await?;
    let quiet = Function::create_in(api, &namespace, NODE).await?;
    let code = "module.exports.handle = async (event) => { console.log(event.path); return 'done'; };";
    quiet.redeploy(&Zip::of("handler.js", code)).await?;
    let loud = container(&server, &namespace, "loud").await?;

    calls(&quiet, "warm").await?;
    let alone = calls(&quiet, "alone").await?;
    let flood = loud.request(reqwest::Method::GET, &format!("/say?count={LINES}")).send();
    let flood = tokio::spawn(flood);
    // Enough calls, and no end before the flood's.
    let mut beside = Duration::ZERO;
    let mut rounds = 0;
    while rounds == 0 || !flood.is_finished() {
        beside = beside.max(calls(&quiet, &format!("beside{rounds}")).await?);
        rounds += 1;
    }
    assert_eq!(flood.await??.status(), 200);
    assert!(beside <= alone * SLOWER + ALLOWANCE, "{beside:?} beside the flood, {alone:?} alone");

    // Nothing of the other one is lost, and all of this one is kept or counted.
    let last = format!("/beside{}-{}", rounds - 1, CALLS - 1);
    let said = log_when(api, &quiet.id, |lines| messages(lines).contains(&last.as_str())).await?;
    let said: Vec<_> = messages(&said).into_iter().filter(|message| message.starts_with('/')).collect();
    let rounds = (0..rounds).map(|round| format!("beside{round}"));
    let rounds = ["warm".to_owned(), "alone".to_owned()].into_iter().chain(rounds);
    let expected: Vec<_> =
        rounds.flat_map(|round| (0..CALLS).map(move |number| format!("/{round}-{number}"))).collect();
    assert_eq!(said, expected);

    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let lines = log(api, &loud.id).await?;
        let (mut kept, mut dropped) = (0, 0);
        for message in messages(&lines) {
            kept += u64::from(message.starts_with("line "));
            if let Some((count, _)) = message.split_once(" lines dropped: more than 200 a second") {
                dropped += count.parse::<u64>().context("a count")?;
            }
        }
        // What it said when it started may be among the dropped, or not; it was kept.
        if kept + dropped == LINES {
            assert!(dropped > LINES / 2, "{dropped} of {LINES} lines were dropped");
            break;
        }
        assert!(Instant::now() < deadline, "{kept} kept and {dropped} dropped of {LINES}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.stop()
}
