//! How much of what applications say a server keeps.

use std::time::Duration;

use api_server::logs::{LogLimits, LogRate};
use clap::Args;

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Bounds of logs; whichever is reached first, the oldest lines go.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogArguments {
    /// Most MiB that the log of one function or container takes on disk.
    #[arg(long, default_value_t = LogLimits::default().application_bytes / MIB, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    log_size: u64,
    /// Most MiB that all logs of one organization take on disk.
    #[arg(long, default_value_t = LogLimits::default().organization_bytes / MIB, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    log_organization_size: u64,
    /// Days that a line is kept.
    #[arg(long, default_value_t = days(LogLimits::default().age), value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    log_days: u32,
    /// Lines a second that one function or container may say in the long run; the others are dropped, and counted. 0:
    /// as many as come.
    #[arg(long, default_value_t = rate().per_second, value_name = "LINES")]
    log_rate: u32,
    /// Lines that it may say at once after a time of silence.
    #[arg(long, default_value_t = rate().burst, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..))]
    log_burst: u32,
}

impl LogArguments {
    /// The limits.
    pub(crate) fn limits(&self) -> LogLimits {
        let rate = LogRate { per_second: self.log_rate, burst: self.log_burst };
        LogLimits {
            application_bytes: self.log_size * MIB,
            organization_bytes: self.log_organization_size * MIB,
            age: DAY * self.log_days,
            rate: (self.log_rate > 0).then_some(rate),
        }
    }
}

fn days(age: Duration) -> u32 {
    u32::try_from(age.as_secs() / DAY.as_secs()).unwrap_or(u32::MAX)
}

/// What holds unless it is said otherwise.
fn rate() -> LogRate {
    LogLimits::default().rate.unwrap_or(LogRate { per_second: 0, burst: 1 })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Parsed {
        #[command(flatten)]
        logs: LogArguments,
    }

    fn limits(arguments: &[&str]) -> LogLimits {
        let parsed = Parsed::try_parse_from([&["zipship"], arguments].concat()).unwrap();
        parsed.logs.limits()
    }

    #[test]
    fn what_is_not_said_is_the_default_and_a_rate_of_none_is_no_bound() {
        assert_eq!(limits(&[]), LogLimits::default());
        let said = limits(&["--log-size", "1", "--log-days", "2", "--log-rate", "0"]);
        assert_eq!((said.application_bytes, said.age, said.rate), (MIB, 2 * DAY, None));
        assert_eq!(limits(&["--log-burst", "7"]).rate, Some(LogRate { per_second: 500, burst: 7 }));
    }
}
