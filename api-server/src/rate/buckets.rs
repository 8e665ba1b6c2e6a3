//! Token buckets, one a key, without I/O and without a clock: the generic cell rate algorithm, which keeps one instant
//! a key (when its bucket will be full again).

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// How much is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, on average; 0 lets everything through.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { per_second: 0, burst: 0 };

    fn interval(self) -> Option<Duration> {
        (self.per_second > 0).then(|| Duration::from_secs(1) / self.per_second)
    }
}

/// One bucket a key, in bounded memory: keys that don't fit share a bucket.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: Rate,
    most: usize,
    full_at: HashMap<Option<K>, Instant>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// No more than `most` keys are told apart.
    pub(super) fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, full_at: HashMap::new() }
    }

    /// Takes one of the key's bucket; else how long it takes until there is one.
    pub(super) fn take(&mut self, key: &K, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.rate.interval() else { return Ok(()) };
        let key = self.bucket(key, now);
        let full_at = self.full_at.get(&key).copied().unwrap_or(now).max(now) + interval;
        wait(full_at, interval, self.rate.burst, now)?;
        self.full_at.insert(key, full_at);
        Ok(())
    }

    /// How long it takes until there is one in the key's bucket, where there is none.
    pub(super) fn empty(&self, key: &K, now: Instant) -> Option<Duration> {
        let interval = self.rate.interval()?;
        let key = Some(key.clone());
        let own = self.full_at.get(&key).or_else(|| self.full_at.get(&None))?;
        wait((*own).max(now) + interval, interval, self.rate.burst, now).err()
    }

    /// The key's own bucket, or that of all who have none.
    fn bucket(&mut self, key: &K, now: Instant) -> Option<K> {
        let own = Some(key.clone());
        if self.full_at.contains_key(&own) {
            return own;
        }
        if self.full_at.len() >= self.most {
            // A bucket that is full again is as good as none.
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= self.most { None } else { own }
    }
}

fn wait(full_at: Instant, interval: Duration, burst: u32, now: Instant) -> Result<(), Duration> {
    let ahead = full_at.saturating_duration_since(now);
    match ahead.checked_sub(interval.saturating_mul(burst.max(1))) {
        Some(wait) if !wait.is_zero() => Err(wait),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn taken(buckets: &mut Buckets<u32>, key: u32, now: Instant) -> usize {
        (0..100).take_while(|_| buckets.take(&key, now).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let mut buckets = Buckets::new(RATE, 10);
        let begin = Instant::now();
        assert_eq!(taken(&mut buckets, 1, begin), 3);
        assert_eq!(buckets.take(&1, begin), Err(Duration::from_millis(100)));
        assert_eq!(taken(&mut buckets, 1, begin + Duration::from_millis(100)), 1);
        assert_eq!(taken(&mut buckets, 1, begin + Duration::from_millis(350)), 2);
        assert_eq!(
            taken(&mut buckets, 1, begin + Duration::from_secs(60)),
            3,
            "no more than the burst is saved"
        );
    }

    #[test]
    fn one_key_leaves_the_others_alone() {
        let mut buckets = Buckets::new(RATE, 10);
        let now = Instant::now();
        assert_eq!(taken(&mut buckets, 1, now), 3);
        assert!(buckets.empty(&1, now).is_some());
        assert!(buckets.empty(&2, now).is_none());
        assert_eq!(taken(&mut buckets, 2, now), 3);
    }

    #[test]
    fn memory_is_bounded_and_who_does_not_fit_shares() {
        let mut buckets = Buckets::new(RATE, 2);
        let now = Instant::now();
        (0..2).for_each(|key| assert_eq!(taken(&mut buckets, key, now), 3));
        assert_eq!(taken(&mut buckets, 2, now), 3);
        assert_eq!(taken(&mut buckets, 3, now), 0, "2 and 3 share");
        assert!(buckets.full_at.len() <= 3);
        let later = now + Duration::from_secs(1);
        assert_eq!(taken(&mut buckets, 3, later), 3, "buckets that are full again make room");
        assert!(buckets.full_at.len() <= 2);
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let mut buckets = Buckets::new(Rate::UNLIMITED, 1);
        assert_eq!(taken(&mut buckets, 1, Instant::now()), 100);
        assert!(buckets.empty(&1, Instant::now()).is_none());
    }
}
