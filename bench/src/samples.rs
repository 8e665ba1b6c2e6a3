//! Measured times.

use std::time::Duration;

/// The middle one, in milliseconds; of an even number the upper of the two.
pub(crate) fn median_ms(samples: &mut [Duration]) -> Option<f64> {
    samples.sort_unstable();
    samples.get(samples.len() / 2).map(|middle| middle.as_secs_f64() * 1000.0)
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
}
