//! When something ends, as it is typed and as it is printed.

use api_server::store::now_ms;
use jiff::Timestamp;

/// Milliseconds since the Unix epoch of a time from now or a date, which must be in the future.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let at = from_now(text).or_else(|| date(text)).ok_or_else(|| {
        "is neither a time from now (90d, 12h, 30m, 10s) nor a date (2030-01-31, 2030-01-31T12:00:00Z)"
            .to_owned()
    })?;
    if at > now_ms() { Ok(at) } else { Err("is in the past".to_owned()) }
}

fn from_now(text: &str) -> Option<i64> {
    let seconds = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number: i64 = digits.then(|| number.parse().ok()).flatten()?;
    let at = now_ms().checked_add(number.checked_mul(seconds)?.checked_mul(1000)?)?;
    // What could not be printed is no time.
    Timestamp::from_millisecond(at).ok().map(|_| at)
}

/// A date alone is its beginning in UTC.
fn date(text: &str) -> Option<i64> {
    let at = text.parse::<Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse());
    Some(at.ok()?.as_millisecond())
}

/// For people: to the second, UTC.
pub(crate) fn text(at: Option<i64>) -> String {
    let Some(at) = at else { return "never".to_owned() };
    let second = Timestamp::from_second(at.div_euclid(1000));
    second.map_or_else(|_| at.to_string(), |second| second.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_from_now_and_dates_are_read_and_nothing_else() {
        for (typed, seconds) in [("10s", 10), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000)] {
            let ahead = parse(typed).unwrap() - now_ms();
            assert!((seconds * 1000 - 5000..=seconds * 1000).contains(&ahead), "{typed}: {ahead}");
        }
        assert_eq!(text(Some(parse("2999-01-31").unwrap())), "2999-01-31T00:00:00Z");
        assert_eq!(text(Some(parse("2999-01-31T12:00:00.5Z").unwrap())), "2999-01-31T12:00:00Z");
        assert_eq!(text(None), "never");
        for typed in
            ["", "d", "-1d", "1w", "1.5h", "tomorrow", "2999-13-01", "9223372036854775807d", "+1d", "1é"]
        {
            assert!(parse(typed).is_err(), "{typed}");
        }
        for past in ["2001-01-01", "2001-01-01T00:00:00Z", "0s"] {
            assert_eq!(parse(past), Err("is in the past".to_owned()), "{past}");
        }
    }
}
