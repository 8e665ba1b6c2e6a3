//! What a server keeps of what was deployed before: arguments of `serve`.

use std::time::Duration;

use api_server::collection::{CollectPolicy, Keep};
use clap::Args;

/// What is kept, and for how long.
#[derive(Debug, Args)]
pub(crate) struct CollectArguments {
    /// Keep the images of the last so many versions of each function and container beside the live one; `off` keeps all
    #[arg(long, default_value_t = Keep::Last(5), value_name = "COUNT")]
    keep_versions: Keep,
    /// Keep the archives of the last so many versions of each function beside the live one's and the last upload; `off`
    /// keeps all.
    #[arg(long, default_value_t = Keep::Last(5), value_name = "COUNT")]
    keep_archives: Keep,
    /// What was uploaded, pushed or used within so many seconds stays in any case.
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    collect_after: u64,
    /// Look every so many seconds for what may go.
    #[arg(long, default_value_t = 21_600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    collect_every: u64,
}

impl CollectArguments {
    /// The policy.
    pub(crate) fn policy(&self) -> CollectPolicy {
        CollectPolicy {
            images: self.keep_versions,
            archives: self.keep_archives,
            grace: Duration::from_secs(self.collect_after),
            every: Duration::from_secs(self.collect_every),
        }
    }
}
