//! A cron expression: five fields as Kubernetes' parser reads them (`github.com/robfig/cron/v3`, its standard form),
//! in UTC. Otherwise than there, 7 is Sunday too, and `@every`, time zones and schedules that never come are refused
//! (`docs/api.md`). What it reads and when it ticks is compared with that parser by `tests/api/cron_syntax.rs`.
//!
//! No clock and no I/O: instants are milliseconds since the Unix epoch.

mod field;

use jiff::{civil::Date, tz::TimeZone};

pub use field::FieldProblem;
use field::{DAYS, Field, HOURS, MINUTES, MONTHS, Set, WEEKDAYS};

/// Longest expression, in bytes.
const LONGEST: usize = 1024;
/// Two leap days are at most eight years apart (1896 to 1904, 2096 to 2104); no other day is rarer.
const RAREST_DAYS: u32 = 8 * 366;
const MINUTE_MS: i64 = 60_000;
const MINUTES_OF_DAY: i64 = 24 * 60;
/// What each name stands for.
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// When a cron ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
}

/// Why an expression is refused. `Display` is what its owner reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Longer than [`LONGEST`].
    #[error("it has {0} bytes; at most {LONGEST} are allowed")]
    TooLong(usize),
    /// `TZ=` or `CRON_TZ=` in front.
    #[error("it names a time zone; schedules are in UTC")]
    TimeZone,
    /// `@every`.
    #[error("@every is not supported: write minutes, such as */10 * * * *")]
    Every,
    /// A name that is none.
    #[error("{0:?} is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually")]
    UnknownName(String),
    /// Other than five fields.
    #[error("it has {0} fields instead of five: minute, hour, day of month, month, day of week (no seconds)")]
    Fields(usize),
    /// A field.
    #[error("{field} {part:?}: {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// The part of it, between commas.
        part: String,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// No instant fits.
    #[error("it never comes: no date and time fits it")]
    Never,
}

impl Schedule {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ScheduleError`] says why it is refused.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.is_empty() {
            return Err(ScheduleError::Empty);
        }
        if text.len() > LONGEST {
            return Err(ScheduleError::TooLong(text.len()));
        }
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err(ScheduleError::TimeZone);
        }
        if text.starts_with("@every") {
            return Err(ScheduleError::Every);
        }
        let fields = match NAMED.iter().find(|(name, _)| *name == text) {
            Some((_, fields)) => fields,
            None if text.starts_with('@') => return Err(ScheduleError::UnknownName(text.to_owned())),
            None => text,
        };
        let schedule = Self::of_fields(fields)?;
        // From a day before which no search can have missed a leap day.
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    fn of_fields(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(ScheduleError::Fields(fields.len()));
        };
        let set = |field: &Field, text: &str| field.parse(text);
        Ok(Self {
            minutes: set(&MINUTES, minutes)?,
            hours: set(&HOURS, hours)?,
            days: set(&DAYS, days)?,
            months: set(&MONTHS, months)?,
            weekdays: set(&WEEKDAYS, weekdays)?,
        })
    }

    /// The first tick after an instant; `None` beyond the calendar's end in the year 9999.
    #[must_use]
    pub fn next_after(&self, instant_ms: i64) -> Option<i64> {
        let minute = instant_ms.div_euclid(MINUTE_MS).checked_add(1)?;
        let first_day = minute.div_euclid(MINUTES_OF_DAY);
        let mut date = date_of(instant_ms, first_day)?;
        for day in (first_day..).take(RAREST_DAYS as usize + 1) {
            let from = if day == first_day { minute.rem_euclid(MINUTES_OF_DAY) } else { 0 };
            if self.is_day(date)
                && let Some(minute_of_day) = self.minute_of_day(u32::try_from(from).ok()?)
            {
                return Some((day * MINUTES_OF_DAY + i64::from(minute_of_day)) * MINUTE_MS);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// Both given means either; a star in one of them leaves the other to decide.
    fn is_day(&self, date: Date) -> bool {
        let day = self.days.has(date.day().unsigned_abs().into());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset().unsigned_abs().into());
        let fits = if self.days.starred || self.weekdays.starred { day && weekday } else { day || weekday };
        fits && self.months.has(date.month().unsigned_abs().into())
    }

    /// The first minute of a day that fits, from `from` on.
    fn minute_of_day(&self, from: u32) -> Option<u32> {
        let (hour, minute) = (from / 60, from % 60);
        let this_hour = if self.hours.has(hour) { self.minutes.first_from(minute) } else { None };
        this_hour.map(|minute| hour * 60 + minute).or_else(|| {
            let hour = self.hours.first_from(hour + 1)?;
            Some(hour * 60 + self.minutes.first_from(0)?)
        })
    }
}

/// The date of a day since the Unix epoch, on which `instant_ms` or the minute after it falls.
fn date_of(instant_ms: i64, day: i64) -> Option<Date> {
    let instant = jiff::Timestamp::from_millisecond(instant_ms).ok()?;
    let date = TimeZone::UTC.to_datetime(instant).date();
    let is_next = instant_ms.div_euclid(MINUTE_MS * MINUTES_OF_DAY) < day;
    if is_next { date.tomorrow().ok() } else { Some(date) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn next(schedule: &str, after: &str) -> Option<String> {
        let next = Schedule::parse(schedule).unwrap().next_after(ms(after))?;
        Some(jiff::Timestamp::from_millisecond(next).unwrap().to_string())
    }

    #[test]
    fn ticks_are_after_the_instant_and_on_whole_minutes() {
        for (after, expected) in [
            ("2026-11-29T12:34:56.789Z", "2026-11-29T12:35:00Z"),
            ("2026-11-29T12:35:00Z", "2026-11-29T12:36:00Z"),
            ("2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"),
            ("1969-12-31T23:58:59Z", "1969-12-31T23:59:00Z"),
        ] {
            assert_eq!(next("* * * * *", after).as_deref(), Some(expected), "{after}");
        }
    }

    #[test]
    fn a_leap_day_comes_although_a_century_leaves_one_out() {
        assert_eq!(next("0 0 29 2 *", "2096-02-29T00:00:00Z").as_deref(), Some("2104-02-29T00:00:00Z"));
        assert_eq!(next("0 0 29 2 *", "9996-03-01T00:00:00Z"), None);
    }

    #[test]
    fn refusals_say_why() {
        for (text, words) in [
            ("", "it is empty"),
            ("0 0 * * * *", "6 fields instead of five"),
            ("CRON_TZ=Europe/Paris 0 0 * * *", "UTC"),
            ("@every 5m", "write minutes"),
            ("@reboot", "none of @hourly"),
            ("60 * * * *", "minute \"60\": 60 is above 59"),
            ("* * 0 * *", "day of month \"0\": 0 is below 1"),
            ("1,5-2 * * * *", "minute \"5-2\": 5 is after 2"),
            ("*/0 * * * *", "minute \"*/0\": a step is at least 1"),
            ("* * L * *", "day of month \"L\": \"L\" is no number"),
            ("* * * * MON#1", "day of week \"MON#1\": \"MON#1\" is no number and no name such as MON"),
            ("0 0 31 2 *", "it never comes"),
            (&"1,".repeat(1000), "2000 bytes"),
        ] {
            let error = Schedule::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
