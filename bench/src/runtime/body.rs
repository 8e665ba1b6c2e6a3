//! `runtime.body1m`: 1 MiB of text to a node handler and back, on one connection.

use super::{compare, latency, places::Places, subjects};
use crate::row::{Better, Row};

const ROUNDS: usize = 5;

pub(super) fn measure(places: &Places) -> anyhow::Result<Vec<Row>> {
    let body = vec![b'x'; 1 << 20];
    let mut all = subjects::node(places);
    // Its servers bound a body below that.
    all.retain(|subject| !subject.name.starts_with("@scaleway"));
    let measured =
        compare::in_turn(all, ROUNDS, |server| Ok([latency::p50(server, "/echo", &body)? / 1000.0]))?;
    Ok(compare::rows(&measured, 0, "runtime.body1m", "ms", Better::Less))
}
