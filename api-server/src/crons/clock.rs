//! What time it is for crons.
//!
//! `ZIPSHIP_CRON_CLOCK_AHEAD_MS` in the environment, read once, sets this clock that many milliseconds ahead of the
//! machine's (or behind it, when negative), so that a test need not wait for a minute to end.

use std::sync::OnceLock;

/// Milliseconds that the clock of crons is ahead of the machine's.
pub const CLOCK_AHEAD: &str = "ZIPSHIP_CRON_CLOCK_AHEAD_MS";

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now() -> i64 {
    static AHEAD: OnceLock<i64> = OnceLock::new();
    let ahead = AHEAD
        .get_or_init(|| std::env::var(CLOCK_AHEAD).ok().and_then(|ms| ms.parse().ok()).unwrap_or_default());
    crate::store::now_ms().saturating_add(*ahead)
}
