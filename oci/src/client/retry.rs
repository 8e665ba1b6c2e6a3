//! When to try again, and how long to wait. Pure; the waiting is done by the callers.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How patient the client is.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How often one request is sent at most; 1 is no retry.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from there, with jitter.
    pub first: Duration,
    /// The longest wait; a registry that asks for a longer one (`Retry-After`) is not retried.
    pub longest: Duration,
    /// How long nothing may move, in either direction, before a request counts as failed. How long it takes in all
    /// is not limited.
    pub silence: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(60),
            silence: Duration::from_secs(60),
        }
    }
}

impl Retry {
    /// How long to wait after attempt number `attempt` (from 1) failed; `None` to give up.
    pub(super) fn delay(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        if let Some(asked) = asked {
            return (asked <= self.longest).then_some(asked);
        }
        let doubled = self.first.saturating_mul(1 << (attempt - 1).min(16));
        Some(doubled.min(self.longest).mul_f64(0.5 + jitter() / 2.0))
    }
}

/// Whether a status may go away by itself.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The wait a registry asks for, in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok().map(|at| at.duration_since(now).unwrap_or_default()),
    }
}

/// A number in 0..1, different each time: `RandomState` is seeded by the system.
fn jitter() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn waits_grow_and_end() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let retry = Retry { attempts: 4, first, longest, ..Retry::default() };
        for (attempt, full) in [(1, 100), (2, 200), (3, 400)] {
            let delay = retry.delay(attempt, None).unwrap();
            assert!(
                delay >= Duration::from_millis(full / 2) && delay <= Duration::from_millis(full),
                "{delay:?}"
            );
        }
        assert_eq!(retry.delay(4, None), None);
        assert_eq!(retry.delay(4, Some(Duration::ZERO)), None);
    }

    #[test]
    fn the_registry_may_ask_for_a_wait_but_not_for_any() {
        let retry = Retry { longest: Duration::from_secs(10), ..Retry::default() };
        assert_eq!(retry.delay(1, Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(retry.delay(1, Some(Duration::from_secs(11))), None);
    }

    #[test]
    fn retry_after_in_both_forms() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770))
        };
        assert_eq!(of("2"), Some(Duration::from_secs(2)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("soon"), None);
    }
}
