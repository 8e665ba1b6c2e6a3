//! How much is kept, and for how long.

use std::{fmt, str::FromStr, time::Duration};

/// What may go, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectPolicy {
    /// Images of versions of each function and container.
    pub images: Keep,
    /// Archives of versions of each function.
    pub archives: Keep,
    /// What was made or used within this time stays in any case.
    pub grace: Duration,
    /// From one round to the next.
    pub every: Duration,
}

/// How many of something are kept beside what is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All: nothing is collected.
    All,
    /// The last so many.
    Last(u32),
}

/// Why a text is no [`Keep`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a number of versions, or `off` to keep all; it is {0:?}")]
pub struct KeepError(String);

impl Default for CollectPolicy {
    /// The last five versions, a day, and every six hours.
    fn default() -> Self {
        Self {
            images: Keep::Last(5),
            archives: Keep::Last(5),
            grace: Duration::from_secs(24 * 3600),
            every: Duration::from_secs(6 * 3600),
        }
    }
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::All),
            number => number.parse().map(Self::Last).map_err(|_| KeepError(text.to_owned())),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("off"),
            Self::Last(versions) => versions.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_off() {
        for text in ["0", "5", "off"] {
            assert_eq!(text.parse::<Keep>().unwrap().to_string(), text);
        }
        for text in ["", "-1", "all", "5.5"] {
            assert_eq!(text.parse::<Keep>(), Err(KeepError(text.to_owned())));
        }
    }
}
