//! Ours and its peers, measured in turn.

use crate::{
    peer::Peer,
    row::{Better, Row},
};

/// Takes one sample of `N` measures.
pub(crate) type Sample<'a, const N: usize> = Box<dyn FnMut() -> anyhow::Result<[f64; N]> + 'a>;

/// Who takes part; ours is the first.
pub(crate) struct Candidate<'a, const N: usize> {
    pub(crate) name: &'static str,
    /// Whether its preparations went well.
    pub(crate) ready: anyhow::Result<()>,
    pub(crate) sample: Sample<'a, N>,
}

/// What one candidate's rounds came to, by measure.
pub(crate) struct Measured<const N: usize> {
    pub(crate) name: &'static str,
    pub(crate) medians: Result<[f64; N], String>,
}

/// Asks each candidate once for warmth, then each of them `rounds` times in turn.
///
/// # Errors
/// When ours fails. A peer's failure is its reason.
pub(crate) fn in_turn<const N: usize>(
    candidates: Vec<Candidate<'_, N>>,
    rounds: usize,
) -> anyhow::Result<Vec<Measured<N>>> {
    let mut all = Vec::new();
    for Candidate { name, ready, sample } in candidates {
        all.push((name, ready.map_err(|error| format!("{error:#}")), sample, Vec::new()));
    }
    for round in 0..=rounds {
        for (_, state, sample, samples) in all.iter_mut().filter(|(_, state, ..)| state.is_ok()) {
            match sample() {
                Ok(measures) if round > 0 => samples.push(measures),
                Ok(_) => {}
                Err(error) => *state = Err(format!("{error:#}")),
            }
        }
        if let Some((_, Err(reason), ..)) = all.first() {
            anyhow::bail!("ours: {reason}");
        }
    }
    let medians =
        |samples: &[[f64; N]]| std::array::from_fn(|at| median(samples.iter().map(|sample| sample[at])));
    let measured = all
        .into_iter()
        .map(|(name, state, _, samples)| Measured { name, medians: state.map(|()| medians(&samples)) });
    Ok(measured.collect())
}

/// One row a peer, of measure `at`.
pub(crate) fn rows<const N: usize>(
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
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &'static str, ready: bool, values: &'static [f64]) -> Candidate<'static, 1> {
        let mut values = values.iter();
        let sample = move || values.next().map(|value| [*value]).ok_or_else(|| anyhow::anyhow!("gone"));
        let ready = if ready { Ok(()) } else { Err(anyhow::anyhow!("not there")) };
        Candidate { name, ready, sample: Box::new(sample) }
    }

    #[test]
    fn medians_without_the_first_and_reasons_where_there_are_none() {
        let all = vec![
            candidate("ours", true, &[100.0, 3.0, 1.0, 2.0]),
            candidate("a", true, &[0.0, 5.0, 6.0, 4.0]),
            candidate("b", true, &[1.0]),
            candidate("c", false, &[]),
        ];
        let rows = rows(&in_turn(all, 3).unwrap(), 0, "x", "ms", Better::Less);
        let found: Vec<_> = rows.iter().map(|row| (row.value, row.ratio, row.reason.as_deref())).collect();
        let expected = [(2.0, Some(2.5), None), (2.0, None, Some("gone")), (2.0, None, Some("not there"))];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_median_of_some_and_of_none() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn ours_must_not_fail() {
        assert!(in_turn(vec![candidate("ours", true, &[1.0]), candidate("a", true, &[1.0])], 3).is_err());
    }
}
