//! How much of logs is kept, and what goes when it is too much. No I/O.

use std::{collections::BTreeMap, time::Duration};

use super::LogRate;

/// Bounds of what is kept; whatever bound is reached first, the oldest segments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes on disk for one function or container.
    pub application_bytes: u64,
    /// Bytes on disk for all of one organization.
    pub organization_bytes: u64,
    /// How long a line is kept; a little more, since whole segments go.
    pub age: Duration,
    /// Lines a second of one function or container; `None`: as many as come.
    pub rate: Option<LogRate>,
}

impl Default for LogLimits {
    /// 64 MiB and 1 GiB, 7 days, 500 lines a second and 10,000 at once.
    fn default() -> Self {
        Self {
            application_bytes: 64 << 20,
            organization_bytes: 1 << 30,
            age: Duration::from_secs(7 * 24 * 3600),
            rate: Some(LogRate { per_second: 500, burst: 10_000 }),
        }
    }
}

/// A segment is no larger.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Of a budget, a segment is no more than this part.
const PARTS: u32 = 8;

impl LogLimits {
    /// When a segment is closed.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.application_bytes / u64::from(PARTS)).clamp(1, SEGMENT_BYTES)
    }

    /// Lines before this instant have been in the segment that is written to for long enough.
    pub(super) fn roll_before(&self, now: u64) -> u64 {
        now.saturating_sub(millis(self.age / PARTS))
    }

    /// What was written last before this instant goes.
    pub(super) fn keep_since(&self, now: u64) -> u64 {
        now.saturating_sub(millis(self.age))
    }
}

/// A segment of some application of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) application: String,
    /// Number of its first line.
    pub(super) base: u64,
    pub(super) bytes: u64,
    /// When its last line was written, in milliseconds.
    pub(super) written: u64,
}

/// What goes of an organization's segments: each application with the first line of the last segment that goes.
pub(super) fn overdue(mut held: Vec<Held>, limits: &LogLimits, now: u64) -> BTreeMap<String, u64> {
    let since = limits.keep_since(now);
    let mut left: u64 = held.iter().map(|one| one.bytes).sum();
    // An application's own segments stay in order, whatever the clock did.
    held.sort_by_key(|one| (one.written, one.base));
    let mut gone = BTreeMap::new();
    for one in held.into_iter().filter(|one| one.bytes > 0) {
        if one.written >= since && left <= limits.organization_bytes {
            break;
        }
        left -= one.bytes;
        let base = gone.entry(one.application).or_insert(one.base);
        *base = one.base.max(*base);
    }
    gone
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(application: &str, base: u64, bytes: u64, written: u64) -> Held {
        Held { application: application.into(), base, bytes, written }
    }

    fn limits(organization_bytes: u64) -> LogLimits {
        LogLimits { organization_bytes, age: Duration::from_millis(1000), ..LogLimits::default() }
    }

    #[test]
    fn the_oldest_of_the_organization_go_until_the_rest_fits() {
        let all =
            || vec![held("a", 0, 60, 10), held("a", 5, 60, 30), held("b", 0, 60, 20), held("b", 9, 0, 40)];
        let gone = |most| overdue(all(), &limits(most), 100).into_iter().collect::<Vec<_>>();
        assert_eq!(gone(180), []);
        assert_eq!(gone(179), [("a".into(), 0)]);
        assert_eq!(gone(119), [("a".into(), 0), ("b".into(), 0)]);
        assert_eq!(gone(0), [("a".into(), 5), ("b".into(), 0)]);
    }

    #[test]
    fn what_is_too_old_goes_however_little_it_is() {
        let all = vec![held("a", 0, 1, 10), held("a", 5, 1, 1500), held("b", 0, 1, 999)];
        let gone: Vec<_> = overdue(all, &limits(u64::MAX), 2000).into_iter().collect();
        assert_eq!(gone, [("a".into(), 0), ("b".into(), 0)]);
    }

    #[test]
    fn a_segment_is_a_small_part_of_its_budget() {
        let of = |application_bytes| LogLimits { application_bytes, ..LogLimits::default() }.segment_bytes();
        assert_eq!((of(64 << 20), of(1 << 20), of(0)), (4 << 20, 128 << 10, 1));
    }
}
