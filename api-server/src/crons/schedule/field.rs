//! One field of a cron expression: parts between commas, each a value, a range or a star, perhaps with a step.

use super::ScheduleError;

/// What a field may hold.
pub(super) struct Field {
    name: &'static str,
    min: u32,
    /// What a star and `N/step` go up to.
    max: u32,
    /// What may be written: more than `max` where two values are the same.
    largest: u32,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
    /// How a sentence goes on that says "is no number".
    or_name: &'static str,
}

const fn plain(name: &'static str, min: u32, max: u32) -> Field {
    Field { name, min, max, largest: max, names: &[], or_name: "" }
}

pub(super) const MINUTES: Field = plain("minute", 0, 59);
pub(super) const HOURS: Field = plain("hour", 0, 23);
pub(super) const DAYS: Field = plain("day of month", 1, 31);
pub(super) const MONTHS: Field = Field {
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    or_name: " and no name such as JAN",
    ..plain("month", 1, 12)
};
/// Sunday is 0, and 7.
pub(super) const WEEKDAYS: Field = Field {
    largest: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    or_name: " and no name such as MON",
    ..plain("day of week", 0, 6)
};

/// The values that fit, a bit each, and whether one of the parts is a star.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Set {
    bits: u64,
    pub(super) starred: bool,
}

/// What is wrong with a part of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// Neither a number nor a name.
    #[error("{0:?} is no number{1}")]
    NoNumber(
        /// What stands there.
        String,
        /// What else could, as the sentence goes on.
        &'static str,
    ),
    /// More than one slash.
    #[error("there is more than one /")]
    Slashes,
    /// More than one hyphen.
    #[error("there is more than one -")]
    Hyphens,
    /// Too small.
    #[error("{0} is below {1}")]
    Below(u64, u32),
    /// Too large.
    #[error("{0} is above {1}")]
    Above(u64, u32),
    /// A range that goes backwards.
    #[error("{0} is after {1}")]
    Backwards(u64, u64),
    /// A step of nothing.
    #[error("a step is at least 1")]
    ZeroStep,
}

impl Set {
    pub(super) fn has(self, value: u32) -> bool {
        self.bits >> value & 1 == 1
    }

    /// The smallest value that is at least `value`.
    pub(super) fn first_from(self, value: u32) -> Option<u32> {
        let left = self.bits & u64::MAX.checked_shl(value)?;
        (left != 0).then(|| left.trailing_zeros())
    }
}

impl Field {
    /// Empty parts count for nothing.
    pub(super) fn parse(&self, text: &str) -> Result<Set, ScheduleError> {
        let mut set = Set::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (bits, starred) = self.part(part).map_err(|problem| ScheduleError::Field {
                field: self.name,
                part: part.to_owned(),
                problem,
            })?;
            set.bits |= bits;
            set.starred |= starred;
        }
        Ok(set)
    }

    fn part(&self, text: &str) -> Result<(u64, bool), FieldProblem> {
        let (range, step) = match text.split_once('/') {
            Some((_, step)) if step.contains('/') => return Err(FieldProblem::Slashes),
            Some((range, step)) => {
                (range, Some(number(step).ok_or_else(|| FieldProblem::NoNumber(step.to_owned(), ""))?))
            }
            None => (text, None),
        };
        let (first, last, starred) = self.range(range, step.is_some())?;
        match step {
            Some(0) => Err(FieldProblem::ZeroStep),
            // A star with a step chooses, so that it leaves nothing to the other kind of day.
            Some(step) if step > 1 => Ok((self.bits(first, last, step), false)),
            _ => Ok((self.bits(first, last, 1), starred)),
        }
    }

    /// First and last value, and whether it is a star.
    fn range(&self, text: &str, has_step: bool) -> Result<(u64, u64, bool), FieldProblem> {
        let (min, max) = (u64::from(self.min), u64::from(self.max));
        let (low, high) = match text.split_once('-') {
            Some((low, high)) => (low, Some(high)),
            None => (text, None),
        };
        // Kubernetes' parser does not look at what stands behind a star and a hyphen.
        if matches!(low, "*" | "?") {
            return Ok((min, max, true));
        }
        let first = self.value(low)?;
        let last = match high {
            Some(high) if high.contains('-') => return Err(FieldProblem::Hyphens),
            Some(high) => self.value(high)?,
            None if has_step => max.max(first),
            None => first,
        };
        if first < min {
            return Err(FieldProblem::Below(first, self.min));
        }
        if last > u64::from(self.largest) {
            return Err(FieldProblem::Above(last, self.largest));
        }
        if first > last {
            return Err(FieldProblem::Backwards(first, last));
        }
        Ok((first, last, false))
    }

    fn value(&self, text: &str) -> Result<u64, FieldProblem> {
        let lower = text.to_lowercase();
        let named = (u64::from(self.min)..).zip(self.names).find(|(_, name)| **name == lower);
        let named = named.map(|(value, _)| value);
        named.or_else(|| number(text)).ok_or_else(|| FieldProblem::NoNumber(text.to_owned(), self.or_name))
    }

    fn bits(&self, first: u64, last: u64, step: u64) -> u64 {
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        // 7 is Sunday: the values beyond `max` begin anew.
        let value = |value: u64| if value > u64::from(self.max) { u64::from(self.min) } else { value };
        (first..=last).step_by(step).fold(0, |bits, at| bits | 1 << value(at))
    }
}

/// As Go's `Atoi` reads it, without a minus.
fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| digits.parse::<i64>().ok())??;
    u64::try_from(number).ok()
}
