//! The HTTP clients: through the environment's proxies, and past them for what is on this machine. With a guard: past
//! them always, and only where it lets the client go.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Url;

use super::guard::Admitted;
use super::{ClientError, Guard, Options};

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
    guard: Option<Guard>,
    /// For hosts that nobody vouches for; made when one is asked.
    checked: OnceLock<Result<reqwest::Client, String>>,
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
        let guard = options.guard.clone();
        // A proxy would resolve the names that the guard looks at.
        let proxied = guard.is_none() && PROXIES.iter().any(named);
        Ok(Self { plain, secure: OnceLock::new(), authorities, proxied, guard, checked: OnceLock::new() })
    }

    /// The client for a URL. No proxy can reach this machine's own addresses, so none is asked to.
    ///
    /// # Errors
    /// TLS cannot be set up, or the guard does not let the client go there.
    pub(super) fn to(&self, url: &Url) -> Result<&reqwest::Client, ClientError> {
        if let Some(guard) = &self.guard
            && guard.admit(url).map_err(|refused| ClientError::guarded(url, refused))? == Admitted::Public
        {
            let checked = self.checked.get_or_init(|| self.checked(guard).map_err(|error| error.to_string()));
            return checked.as_ref().map_err(|reason| ClientError::Setup(reason.clone()));
        }
        let here = is_here(url);
        if url.scheme() == "http" && (here || !self.proxied) {
            return Ok(&self.plain);
        }
        let secure = self.secure.get_or_init(|| self.secure().map_err(|error| error.to_string()));
        let secure = secure.as_ref().map_err(|reason| ClientError::Setup(reason.clone()))?;
        Ok(if here { &secure.direct } else { &secure.usual })
    }

    fn secure(&self) -> Result<Secure, reqwest::Error> {
        let direct = self.trusting(builder()).no_proxy().build()?;
        // Once is enough when nothing differs.
        let usual = if self.proxied { self.trusting(builder()).build()? } else { direct.clone() };
        Ok(Secure { usual, direct })
    }

    /// Connects to addresses that the guard has seen, or through its proxy, whose own address is the operator's choice.
    fn checked(&self, guard: &Guard) -> Result<reqwest::Client, reqwest::Error> {
        let builder = self.trusting(builder()).no_proxy();
        match guard.proxy() {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.clone())?).build(),
            None => builder.dns_resolver(guard.resolver()).build(),
        }
    }

    fn trusting(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match self.authorities.is_empty() {
            true => builder,
            false => builder.tls_certs_merge(self.authorities.clone()),
        }
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
