//! Wall-clock times as the event writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use super::ascii::push_number;

/// Milliseconds since the Unix epoch.
pub(crate) fn epoch_ms(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Appends `23/Nov/2026:12:00:00 +0000`.
pub(crate) fn push_common_log(out: &mut Vec<u8>, epoch_ms: u64) {
    const MONTHS: [&[u8; 5]; 12] = [
        b"/Jan/", b"/Feb/", b"/Mar/", b"/Apr/", b"/May/", b"/Jun/", b"/Jul/", b"/Aug/", b"/Sep/", b"/Oct/",
        b"/Nov/", b"/Dec/",
    ];
    let seconds = epoch_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let two = |number: u64| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    out.extend(two(day));
    out.extend(MONTHS[month]);
    push_number(out, year);
    for part in [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60] {
        out.push(b':');
        out.extend(two(part));
    }
    out.extend(b" +0000");
}

/// Year, month (0 is January) and day of a number of days since 1970-01-01; Howard Hinnant's
/// `civil_from_days`, whose year starts in March.
fn civil(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), day)
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000"),
            (1_795_435_200, "23/Nov/2026:12:00:00 +0000"),
            (4_107_542_399, "28/Feb/2100:23:59:59 +0000"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000"),
        ] {
            let mut out = Vec::new();
            super::push_common_log(&mut out, seconds * 1000);
            assert_eq!(out, text.as_bytes());
        }
    }
}
