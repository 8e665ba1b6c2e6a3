//! Images of other registries for containers: what an operator allows.

use std::time::Duration;

use api_server::deploy::ForeignImages;
use clap::Args;
use oci::client::guard::{Allowed, Guard};
use reqwest::Url;

/// What an operator says about images of other registries.
#[derive(Debug, Clone, Args)]
pub(crate) struct ForeignImageArguments {
    /// A registry whose images containers may use although it is not on the internet, not on port 443 or without TLS:
    /// HOST, HOST:PORT or http://HOST:PORT; repeatable.
    #[arg(long, value_name = "REGISTRY")]
    pull_from: Vec<Allowed>,
    /// Containers may use images of this server's own registry only.
    #[arg(long)]
    own_images_only: bool,
    /// The HTTP proxy to other registries but those of --pull-from, which then also decides over their addresses;
    /// the environment's proxies are not used for them.
    #[arg(long, value_name = "URL", value_parser = proxy)]
    pull_proxy: Option<Url>,
    /// Most megabytes of an image of another registry, as it is sent.
    #[arg(long, default_value_t = 4000, value_name = "MB")]
    pull_limit: u64,
    /// Most layers of an image of another registry.
    #[arg(long, default_value_t = 128, value_name = "NUMBER")]
    pull_layers: usize,
    /// How long an image of another registry may take to come.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pull_time: u64,
}

/// The flag stands where everybody can read it.
fn proxy(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" if url.username().is_empty() && url.password().is_none() => Ok(url),
        "http" | "https" => Err("a name and a password can't be in it".to_owned()),
        other => Err(format!("expected http://HOST:PORT, not {other}:")),
    }
}

impl ForeignImageArguments {
    /// What the server is to hold to; `None`: no images of other registries.
    pub(crate) fn settings(&self) -> Option<ForeignImages> {
        let guard = Guard::new(self.pull_from.clone()).through(self.pull_proxy.clone());
        (!self.own_images_only).then(|| ForeignImages {
            layers: self.pull_layers,
            bytes: self.pull_limit.saturating_mul(1_000_000),
            time: Duration::from_secs(self.pull_time),
            ..ForeignImages::guarded_by(guard)
        })
    }
}
