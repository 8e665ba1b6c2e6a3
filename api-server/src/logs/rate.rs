//! How many lines an application may say: a token bucket whose refusals are counted. No clock of its own.
//!
//! Once it is empty, nothing is kept for a while: so what is kept comes in blocks, and one notice tells of many lines.

/// Lines a second in the long run, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRate {
    /// Lines a second; a line of more than [`LogRate::LINE_BYTES`] counts as several.
    pub per_second: u32,
    /// Lines at once, after a time of silence.
    pub burst: u32,
}

impl LogRate {
    /// Bytes that one line is good for.
    pub const LINE_BYTES: usize = 1024;
}

/// How long nothing is kept once the bucket is empty.
pub(super) const PAUSE_MS: u64 = 1000;

/// What an application may still say.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Option<LogRate>,
    /// Thousandths of a line.
    tokens: u64,
    /// Of the last look, in milliseconds.
    at: u64,
    /// Since when nothing is kept.
    paused: Option<u64>,
    dropped: u64,
    /// Whether somebody will ask later how many were dropped.
    armed: bool,
}

impl Bucket {
    /// A full one; `None`: without a bottom.
    pub(super) fn new(rate: Option<LogRate>, now: u64) -> Self {
        let tokens = rate.map_or(0, |rate| u64::from(rate.burst) * 1000);
        Self { rate, tokens, at: now, paused: None, dropped: 0, armed: false }
    }

    /// Whether a line of so many bytes is kept; one that is not is counted. What [`Bucket::told`] answers belongs
    /// before a line that is kept.
    pub(super) fn takes(&mut self, bytes: usize, now: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        self.refill(rate, now);
        let lines = bytes.max(1).div_ceil(LogRate::LINE_BYTES) as u64;
        // One that is larger than the bucket passes when it is full.
        let cost = (lines * 1000).min(u64::from(rate.burst.max(1)) * 1000);
        if self.paused.is_none() && self.tokens >= cost {
            self.tokens -= cost;
            return true;
        }
        self.paused.get_or_insert(now);
        self.dropped += 1;
        false
    }

    /// How many lines were dropped, once lines are kept again; asked until then, it answers nothing.
    pub(super) fn told(&mut self, now: u64) -> Option<u64> {
        if let Some(rate) = self.rate {
            self.refill(rate, now);
        }
        if self.paused.is_some() { None } else { self.take_dropped() }
    }

    /// How many lines were dropped up to now, whether lines are kept again or not.
    pub(super) fn take_dropped(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.dropped)).filter(|dropped| *dropped > 0)
    }

    /// Whether nothing is owed to anybody.
    pub(super) fn is_quiet(&self) -> bool {
        self.dropped == 0
    }

    /// Whether somebody is to be sent who asks later; whoever is sent says so with [`Bucket::disarm`] first.
    pub(super) fn arm(&mut self) -> bool {
        let is_due = self.dropped > 0 && !self.armed;
        self.armed |= is_due;
        is_due
    }

    /// Whoever was sent has come.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Its rate.
    pub(super) fn rate(&self) -> Option<LogRate> {
        self.rate
    }

    fn refill(&mut self, rate: LogRate, now: u64) {
        // Lines in a second are thousandths in a millisecond.
        let gained = now.saturating_sub(self.at).saturating_mul(u64::from(rate.per_second));
        self.tokens = self.tokens.saturating_add(gained).min(u64::from(rate.burst.max(1)) * 1000);
        self.at = self.at.max(now);
        if self.paused.is_some_and(|since| now >= since + PAUSE_MS) {
            self.paused = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: LogRate = LogRate { per_second: 500, burst: 1000 };

    #[test]
    fn a_burst_passes_then_the_rate_and_what_is_dropped_is_told_once() {
        let mut bucket = Bucket::new(Some(RATE), 0);
        assert_eq!((0..1500).filter(|_| bucket.takes(10, 0)).count(), 1000);
        assert_eq!(bucket.told(PAUSE_MS - 1), None);
        assert_eq!(bucket.told(PAUSE_MS), Some(500));
        assert_eq!(bucket.told(PAUSE_MS), None);
        assert_eq!((0..1000).filter(|_| bucket.takes(10, PAUSE_MS)).count(), 500);
        assert_eq!(bucket.take_dropped(), Some(500));
        assert!(bucket.is_quiet());
    }

    #[test]
    fn a_long_line_counts_as_several_and_one_of_any_length_passes_a_full_bucket() {
        let mut bucket = Bucket::new(Some(LogRate { per_second: 1, burst: 10 }), 0);
        assert!(bucket.takes(9 * LogRate::LINE_BYTES, 0));
        assert!(!bucket.takes(2 * LogRate::LINE_BYTES, 0));
        assert!(bucket.takes(1 << 20, 10_000));
    }

    #[test]
    fn without_a_rate_all_pass() {
        let mut bucket = Bucket::new(None, 0);
        assert!((0..100_000).all(|_| bucket.takes(1 << 20, 0)) && bucket.told(0).is_none());
    }

    proptest! {
        #[test]
        fn every_line_is_kept_or_counted(steps in prop::collection::vec((0..300_u64, 1..5000_usize, 0..400_u32), 1..40)) {
            let mut bucket = Bucket::new(Some(RATE), 0);
            let (mut now, mut kept, mut told, mut asked) = (0, 0, 0, 0);
            for (pause, bytes, lines) in steps {
                now += pause;
                told += bucket.told(now).unwrap_or(0);
                kept += (0..lines).filter(|_| bucket.takes(bytes, now)).count() as u64;
                asked += u64::from(lines);
            }
            told += bucket.take_dropped().unwrap_or(0);
            prop_assert_eq!(kept + told, asked);
            prop_assert!(kept <= u64::from(RATE.burst) + now * u64::from(RATE.per_second) / 1000);
        }
    }
}
