//! `--limit NAME=VALUE`: how much an archive may be, for a build and for the server.

use builder::zip::{ArchiveLimits, InvalidLimit};
use clap::Args;

/// Limits of archives that differ from the defaults.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Limits {
    /// How much an archive may be, such as file-bytes=200M; all names stand in docs/archives.md; repeatable.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = checked)]
    limits: Vec<String>,
}

fn checked(text: &str) -> Result<String, InvalidLimit> {
    ArchiveLimits::default().set(text).map(|()| text.to_owned())
}

impl Limits {
    /// The defaults with what was said.
    ///
    /// # Errors
    /// None that the arguments' check has not reported before.
    pub(crate) fn of_archives(&self) -> Result<ArchiveLimits, InvalidLimit> {
        let mut limits = ArchiveLimits::default();
        self.limits.iter().try_for_each(|limit| limits.set(limit))?;
        Ok(limits)
    }
}
