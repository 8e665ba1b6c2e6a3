//! The HTTP clients: through the environment's proxies, and past them for what is on this machine.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Url;

use super::{ClientError, Options};

/// Variables that name a proxy; each also in lower case.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Connections to registries and token services.
#[derive(Debug)]
pub(super) struct Transport {
    /// For plain HTTP without a proxy: it knows no certificates.
    plain: reqwest::Client,
    /// For all else. Reading the system's certificates takes longer than a small push, so it waits until somebody
    /// wants TLS.
    secure: OnceLock<Result<Secure, String>>,
    /// Certificates of authorities that are believed beside the system's.
    authorities: Vec<reqwest::Certificate>,
    proxied: bool,
}

#[derive(Debug)]
struct Secure {
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
        let setup = |error: reqwest::Error| ClientError::Setup(error.to_string());
        let mut authorities = Vec::new();
        for pem in &options.authorities {
            authorities.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?);
        }
        let plain = builder().no_proxy().tls_certs_only([]).build().map_err(setup)?;
        Ok(Self { plain, secure: OnceLock::new(), authorities, proxied: PROXIES.iter().any(named) })
    }

    /// The client for a URL. No proxy can reach this machine's own addresses, so none is asked to.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn to(&self, url: &Url) -> Result<&reqwest::Client, ClientError> {
        let here = is_here(url);
        if url.scheme() == "http" && (here || !self.proxied) {
            return Ok(&self.plain);
        }
        let secure = self.secure.get_or_init(|| self.secure().map_err(|error| error.to_string()));
        let secure = secure.as_ref().map_err(|reason| ClientError::Setup(reason.clone()))?;
        Ok(if here { &secure.direct } else { &secure.usual })
    }

    fn secure(&self) -> Result<Secure, reqwest::Error> {
        let trusting = |builder: reqwest::ClientBuilder| match self.authorities.is_empty() {
            true => builder,
            false => builder.tls_certs_merge(self.authorities.clone()),
        };
        let direct = trusting(builder()).no_proxy().build()?;
        // Once is enough when nothing differs.
        let usual = if self.proxied { trusting(builder()).build()? } else { direct.clone() };
        Ok(Secure { usual, direct })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("zipship/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        // Redirects are followed by `exchange`, which knows what may be shown to whom.
        .redirect(reqwest::redirect::Policy::none())
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
