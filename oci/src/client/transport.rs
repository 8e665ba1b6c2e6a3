//! The HTTP clients: through the environment's proxies, and past them for what is on this machine.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

use super::{ClientError, Options};

/// Variables that name a proxy; each also in lower case.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Connections to registries and token services.
#[derive(Debug)]
pub(super) struct Transport {
    /// As `$HTTPS_PROXY`, `$HTTP_PROXY`, `$ALL_PROXY` and `$NO_PROXY` say.
    usual: reqwest::Client,
    direct: reqwest::Client,
}

impl Transport {
    pub(super) fn new(options: &Options) -> Result<Self, ClientError> {
        let named = |name: &&str| {
            let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            set(name) || set(&name.to_lowercase())
        };
        let direct = client(options, reqwest::ClientBuilder::no_proxy)?;
        // Reading the system's certificates takes longer than a small push: once is enough when nothing differs.
        let usual =
            if PROXIES.iter().any(named) { client(options, |builder| builder)? } else { direct.clone() };
        Ok(Self { usual, direct })
    }

    /// The client for a URL. No proxy can reach this machine's own addresses, so none is asked to.
    pub(super) fn to(&self, url: &Url) -> &reqwest::Client {
        if is_here(url) { &self.direct } else { &self.usual }
    }
}

fn client(
    options: &Options,
    proxies: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = proxies(reqwest::Client::builder())
        .user_agent(concat!("zipship/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        // Redirects are followed by `exchange`, which knows what may be shown to whom.
        .redirect(reqwest::redirect::Policy::none());
    let setup = |error: reqwest::Error| ClientError::Setup(error.to_string());
    for pem in &options.authorities {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(setup)
}

fn is_here(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_this_machine() {
        let here = |text: &str| is_here(&Url::parse(text).unwrap());
        for text in
            ["http://localhost:5000/", "http://a.localhost/", "https://127.0.0.2/", "http://[::1]:5000/"]
        {
            assert!(here(text), "{text}");
        }
        for text in ["http://10.0.0.1/", "https://localhost.example/", "http://[fe80::1]/"] {
            assert!(!here(text), "{text}");
        }
    }
}
