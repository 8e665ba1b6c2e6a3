//! Measured times.

use std::time::Duration;

/// The middle one, in milliseconds; of an even number the upper of the two.
pub(crate) fn median_ms(samples: &mut [Duration]) -> Option<f64> {
    quantile_ms(samples, 0.5)
}

/// The one that this share of all (0 to 1) lies below, in milliseconds.
pub(crate) fn quantile_ms(samples: &mut [Duration], share: f64) -> Option<f64> {
    samples.sort_unstable();
    let at = (samples.len() as f64 * share) as usize;
    samples.get(at).map(|sample| sample.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_whatever_the_order() {
        let mut samples = [9, 1, 5].map(Duration::from_millis);
        assert_eq!(median_ms(&mut samples), Some(5.0));
        assert_eq!(median_ms(&mut []), None);
    }

    #[test]
    fn one_of_a_hundred_lies_above_the_last_but_one() {
        let mut samples: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile_ms(&mut samples, 0.99), Some(199.0));
    }
}
