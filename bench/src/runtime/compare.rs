//! Servers that run all at the same time, measured in turn.

pub(super) use crate::compare::{Measured, median, rows};

use super::process::Server;
use super::subjects::Subject;
use crate::compare::{self, Candidate};

/// Starts all, lets `round` ask each of them so many times in turn, and takes the medians.
///
/// # Errors
/// When ours fails. A peer's failure is its reason.
pub(super) fn in_turn<const N: usize>(
    subjects: Vec<Subject<'_>>,
    rounds: usize,
    round: impl Fn(&Server) -> anyhow::Result<[f64; N]>,
) -> anyhow::Result<Vec<Measured<N>>> {
    let started = subjects.iter().map(|subject| (subject.name, Server::start(subject)));
    let started: Vec<_> = started.collect();
    let candidates = started.iter().map(|(name, server)| Candidate {
        name,
        ready: server.as_ref().map(|_| ()).map_err(|error| anyhow::anyhow!("{error:#}")),
        sample: Box::new(|| server.as_ref().map_or_else(|error| anyhow::bail!("{error:#}"), &round)),
    });
    compare::in_turn(candidates.collect(), rounds)
}
