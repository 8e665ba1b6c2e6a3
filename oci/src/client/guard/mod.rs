//! Where a client may be sent by names that strangers chose: an image's registry, a redirect, a token service.
//!
//! Only to the internet, by https on its usual port, and to the registries that an operator allows besides. Each URL
//! is looked at before anything is sent ([`Guard::admit`]), redirects and token services too. A name's addresses are
//! looked at when it is resolved, and the connection goes to the very addresses that were seen ([`Checked`]): a name
//! that means something else a moment later is never asked again in between. Proxies of the environment are not used,
//! since they would resolve names themselves.

mod address;
mod allowed;
mod network;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

pub use address::Inside;
pub use allowed::{Allowed, InvalidAllowed};
pub use network::Network;

use super::location::literal;

/// The port of https.
const PORT: u16 = 443;

/// Which hosts a client may talk to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    allowed: Vec<Allowed>,
    proxy: Option<Url>,
    network: Arc<dyn Network>,
}

/// Why a host is not talked to. `Display` is a user's sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Without TLS.
    #[error("{0} is not asked without TLS")]
    Plain(String),
    /// Another port than that of https.
    #[error("{host} is not asked on port {port}, only on {PORT}")]
    Port {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The host is an address that is not the internet's, or a name of one.
    #[error("{host} is not asked: it is {what}, not one of the internet")]
    Inside {
        /// As the URL has it; what a name stands for is not told.
        host: String,
        /// What is there.
        what: Inside,
    },
}

/// A name that stands for nothing.
#[derive(Debug, thiserror::Error)]
#[error("the host {host} is not known: {source}")]
pub(super) struct Unknown {
    host: String,
    source: io::Error,
}

/// Who may be asked, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// An operator's choice, wherever it is.
    Allowed,
    /// If its addresses are the internet's.
    Public,
}

impl Guard {
    /// The internet, and these registries wherever they are.
    #[must_use]
    pub fn new(allowed: Vec<Allowed>) -> Self {
        Self::over(allowed, Arc::new(network::System))
    }

    /// The same over a network of the caller's.
    #[must_use]
    pub fn over(allowed: Vec<Allowed>, network: Arc<dyn Network>) -> Self {
        Self(Arc::new(Rules { allowed, proxy: None, network }))
    }

    /// The internet is reached through a proxy, which resolves names: which addresses it goes to is its own business.
    #[must_use]
    pub fn through(self, proxy: Option<Url>) -> Self {
        let (allowed, network) = (self.0.allowed.clone(), Arc::clone(&self.0.network));
        Self(Arc::new(Rules { allowed, proxy, network }))
    }

    /// The proxy to the internet.
    pub(super) fn proxy(&self) -> Option<&Url> {
        self.0.proxy.as_ref()
    }

    /// Whether a registry (`host[:port]`) is allowed without TLS.
    #[must_use]
    pub fn is_plain(&self, registry: &str) -> bool {
        let url = Url::parse(&format!("http://{registry}/"));
        url.is_ok_and(|url| self.0.allowed.iter().any(|one| one.is_plain() && one.covers(&url)))
    }

    /// Whether an operator allows a registry (`host[:port]`), with TLS or without, wherever it is.
    #[must_use]
    pub fn allows(&self, registry: &str) -> bool {
        let urls = ["https", "http"].map(|scheme| Url::parse(&format!("{scheme}://{registry}/")));
        urls.iter().flatten().any(|url| self.0.allowed.iter().any(|one| one.covers(url)))
    }

    /// Looks at a URL before anything is sent there.
    pub(super) fn admit(&self, url: &Url) -> Result<Admitted, Refused> {
        if self.0.allowed.iter().any(|one| one.covers(url)) {
            return Ok(Admitted::Allowed);
        }
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "https" {
            return Err(Refused::Plain(host.to_owned()));
        }
        if let Some(port) = url.port_or_known_default().filter(|port| *port != PORT) {
            return Err(Refused::Port { host: host.to_owned(), port });
        }
        if let Some(address) = literal(url) {
            self.look_at(host, address)?;
        }
        Ok(Admitted::Public)
    }

    /// The resolver of connections to hosts that are not allowed by name.
    pub(super) fn resolver(&self) -> Checked {
        Checked(self.clone())
    }

    fn look_at(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let own = || self.0.network.is_own(address).then_some(Inside::Own);
        match address::inside(address).or_else(own) {
            Some(what) => Err(Refused::Inside { host: host.to_owned(), what }),
            None => Ok(()),
        }
    }
}

/// Resolves names to addresses that were looked at, and refuses a name when one of its addresses is not to be reached.
#[derive(Debug)]
pub(super) struct Checked(Guard);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, host) = (self.0.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let unknown = |source| Unknown { host: host.clone(), source };
            let found = guard.0.network.resolve(&host).await.map_err(unknown)?;
            if found.is_empty() {
                return Err(unknown(io::Error::other("it has no addresses")).into());
            }
            for address in &found {
                guard.look_at(&host, *address)?;
            }
            let dialled: Vec<_> = found.into_iter().map(|address| guard.0.network.dial(address)).collect();
            Ok(Box::new(dialled.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(allowed: &[&str], url: &str) -> Result<Admitted, Refused> {
        let allowed = allowed.iter().map(|one| one.parse().unwrap()).collect();
        Guard::new(allowed).admit(&Url::parse(url).unwrap())
    }

    #[test]
    fn https_on_its_port_and_what_is_allowed_besides() {
        assert_eq!(admit(&[], "https://ghcr.io/v2/"), Ok(Admitted::Public));
        assert_eq!(admit(&[], "https://ghcr.io:443/v2/"), Ok(Admitted::Public));
        assert_eq!(admit(&[], "https://1.1.1.1/v2/"), Ok(Admitted::Public));
        assert_eq!(admit(&[], "http://ghcr.io/v2/"), Err(Refused::Plain("ghcr.io".to_owned())));
        let port = Refused::Port { host: "ghcr.io".to_owned(), port: 5000 };
        assert_eq!(admit(&[], "https://ghcr.io:5000/v2/"), Err(port));
        assert_eq!(admit(&["ghcr.io:5000"], "https://ghcr.io:5000/v2/"), Ok(Admitted::Allowed));
        let inside = ["http://127.0.0.1:5000"];
        assert_eq!(admit(&inside, "http://127.0.0.1:5000/v2/"), Ok(Admitted::Allowed));
        assert!(admit(&inside, "http://127.0.0.1:5001/v2/").is_err());
        assert!(Guard::new(vec![inside[0].parse().unwrap()]).is_plain("127.0.0.1:5000"));
        let secured = Guard::new(vec!["a:5000".parse().unwrap()]);
        assert!(!secured.is_plain("a:5000"));
        assert!(secured.allows("a:5000") && !secured.allows("a") && !secured.allows("b:5000"));
    }

    #[test]
    fn an_address_inside_is_seen_however_it_is_spelled() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "127.0.0.1.",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "0.0.0.0",
            "0",
            "169.254.169.254",
            "2852039166",
            "10.0.0.1",
            "012.0.0.1",
            "[fd00::1]",
            "[fe80::1]",
        ] {
            let refused = admit(&[], &format!("https://{host}/v2/"));
            assert!(matches!(refused, Err(Refused::Inside { .. })), "{host}: {refused:?}");
        }
    }
}
