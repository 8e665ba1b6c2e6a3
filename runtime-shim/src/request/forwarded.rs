//! Which hops may speak for the caller: `X-Forwarded-*` and the source address.

use std::net::IpAddr;

use contract::event::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PREFIX, X_FORWARDED_PROTO};
use hyper::HeaderMap;

/// A network in CIDR form; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let width = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        (prefix <= width).then_some(Self { address, prefix })
    }

    fn contains(self, other: IpAddr) -> bool {
        let leading = |a: u128, b: u128, width: u32| {
            let shift = width - u32::from(self.prefix);
            self.prefix == 0 || (a >> shift) == (b >> shift)
        };
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => leading(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => leading(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Empty when the socket has none.
    address: String,
    /// Whether its `X-Forwarded-*` headers are its to set.
    is_believed: bool,
    pub(crate) is_gateway: bool,
}

impl Peer {
    /// Over an inherited socket: the gateway, whose headers are believed.
    pub(crate) fn gateway(address: Option<IpAddr>) -> Self {
        let address = address.map(|address| address.to_canonical().to_string()).unwrap_or_default();
        Self { address, is_believed: true, is_gateway: true }
    }

    /// Anybody.
    pub(crate) fn stranger(address: IpAddr, trusted: &[Network]) -> Self {
        let is_believed = trusted.iter().any(|network| network.contains(address));
        Self { address: address.to_canonical().to_string(), is_believed, is_gateway: false }
    }

    /// Removes `X-Forwarded-*` where the peer is not trusted to set them.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        const PREFIX: &str = "x-forwarded-";
        if self.is_believed || !headers.keys().any(|name| name.as_str().starts_with(PREFIX)) {
            return;
        }
        for name in [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PREFIX, X_FORWARDED_PROTO] {
            headers.remove(name);
        }
    }

    /// The caller's address, from headers that were [stripped](Self::strip).
    pub(crate) fn source<'a>(&'a self, headers: &'a HeaderMap) -> &'a str {
        let said = headers.get(X_FORWARDED_FOR).and_then(|value| value.to_str().ok());
        let first = said.and_then(|list| list.split(',').next()).map(str::trim);
        first.filter(|address| !address.is_empty()).unwrap_or(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn networks_hold_their_addresses() {
        let network = Network::parse("10.1.0.0/16").expect("network");
        assert!(network.contains(ip("10.1.255.1")) && !network.contains(ip("10.2.0.1")));
        assert!(network.contains(ip("::ffff:10.1.0.1")));
        assert!(Network::parse("0.0.0.0/0").expect("network").contains(ip("8.8.8.8")));
        assert!(Network::parse("::1").expect("network").contains(ip("::1")));
        for bad in ["", "10.0.0.0/33", "x/8", "::/129"] {
            assert_eq!(Network::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_stranger_cannot_choose_the_source_address() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, "1.2.3.4, 5.6.7.8".parse().expect("value"));
        headers.insert(X_FORWARDED_PROTO, "https".parse().expect("value"));
        let trusted = [Network::parse("127.0.0.0/8").expect("network")];
        for (peer, source, left) in [
            (Peer::stranger(ip("::ffff:127.0.0.1"), &trusted), "1.2.3.4", 2),
            (Peer::gateway(None), "1.2.3.4", 2),
            (Peer::stranger(ip("9.9.9.9"), &trusted), "9.9.9.9", 0),
        ] {
            let mut headers = headers.clone();
            peer.strip(&mut headers);
            assert_eq!((peer.source(&headers), headers.len()), (source, left), "{peer:?}");
        }
        assert_eq!(Peer::gateway(None).source(&HeaderMap::new()), "");
    }
}
