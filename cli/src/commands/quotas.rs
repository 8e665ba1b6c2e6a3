//! `--quota NAME=NUMBER`: how many of each an organization may have.

use clap::Args;
use contract::limits::{InvalidQuota, Quotas};

/// Quotas that differ from the defaults.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct QuotaArguments {
    /// How many an organization may have in a region, such as functions=500; namespaces, functions, containers and
    /// crons have one each, whose default stands in docs/api.md; repeatable.
    #[arg(long = "quota", value_name = "NAME=NUMBER", value_parser = checked)]
    quotas: Vec<String>,
}

fn checked(text: &str) -> Result<String, InvalidQuota> {
    Quotas::default().set(text).map(|()| text.to_owned())
}

impl QuotaArguments {
    /// The defaults with what was said.
    ///
    /// # Errors
    /// None that the arguments' check has not reported before.
    pub(crate) fn quotas(&self) -> Result<Quotas, InvalidQuota> {
        let mut quotas = Quotas::default();
        self.quotas.iter().try_for_each(|quota| quotas.set(quota))?;
        Ok(quotas)
    }
}
