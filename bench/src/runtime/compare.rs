//! Ours and its peers, measured in turn.

use super::process::Server;
use super::subjects::Subject;
use crate::{
    peer::Peer,
    row::{Better, Row},
};

/// What one subject's rounds came to, by measure; ours is the first.
pub(super) struct Measured<const N: usize> {
    pub(super) name: &'static str,
    pub(super) medians: Result<[f64; N], String>,
}

/// Starts all, lets `round` ask each of them so many times in turn, and takes the medians.
///
/// # Errors
/// When ours fails. A peer's failure is its reason.
pub(super) fn in_turn<const N: usize>(
    subjects: Vec<Subject<'_>>,
    rounds: usize,
    mut round: impl FnMut(&Server) -> anyhow::Result<[f64; N]>,
) -> anyhow::Result<Vec<Measured<N>>> {
    let mut all = Vec::new();
    for subject in &subjects {
        let server = Server::start(subject).and_then(|server| {
            // The first is for warmth alone.
            round(&server)?;
            Ok(server)
        });
        all.push((subject.name, server.map_err(|error| format!("{error:#}")), Vec::new()));
    }
    for _ in 0..rounds {
        for (_, server, samples) in &mut all {
            match server.as_ref().map(&mut round) {
                Ok(Ok(sample)) => samples.push(sample),
                Ok(Err(error)) => *server = Err(format!("{error:#}")),
                Err(_) => {}
            }
        }
    }
    let measured = all.into_iter().map(|(name, server, samples)| {
        let medians =
            server.map(|_| std::array::from_fn(|at| median(samples.iter().map(|sample| sample[at]))));
        Measured { name, medians }
    });
    let measured: Vec<_> = measured.collect();
    if let Some(Measured { medians: Err(reason), .. }) = measured.first() {
        anyhow::bail!("ours: {reason}");
    }
    Ok(measured)
}

/// One row a peer, of measure `at`.
pub(super) fn rows<const N: usize>(
    measured: &[Measured<N>],
    at: usize,
    name: &'static str,
    unit: &'static str,
    better: Better,
) -> Vec<Row> {
    let Some((ours, peers)) = measured.split_first() else { return Vec::new() };
    let value = |measured: &Measured<N>| measured.medians.as_ref().map(|all| all[at]).map_err(Clone::clone);
    let Ok(ours) = value(ours) else { return Vec::new() };
    let row =
        |peer: &Measured<N>| Row::new(name, ours, unit, better, Peer { name: peer.name, value: value(peer) });
    peers.iter().map(row).collect()
}

/// Of an even number the upper of the two in the middle; 0 of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &'static str, medians: Result<[f64; 1], String>) -> Measured<1> {
        Measured { name, medians }
    }

    #[test]
    fn a_row_a_peer_and_a_reason_where_there_is_no_number() {
        let all = [measured("ours", Ok([4.0])), measured("a", Ok([2.0])), measured("b", Err("gone".into()))];
        let rows = rows(&all, 0, "x", "1/s", Better::More);
        let found: Vec<_> = rows.iter().map(|row| (row.peer, row.ratio, row.reason.as_deref())).collect();
        assert_eq!(found, [("a", Some(2.0), None), ("b", None, Some("gone"))]);
    }

    #[test]
    fn the_median_of_some_and_of_none() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
