//! Which addresses a redirect may lead to: a proxy on the internet does not get to ask the server's neighbours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names; all but the trusted ones to public addresses only.
#[derive(Debug, Clone)]
pub(super) struct PublicNames {
    /// Hosts that the operator named: the proxies of modules, and the machine's own HTTP proxies.
    pub trusted: Arc<[String]>,
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let trusted = self.trusted.iter().any(|host| host.eq_ignore_ascii_case(&name));
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> =
                found.filter(|address| trusted || is_public(address.ip())).collect();
            if usable.is_empty() {
                return Err(format!("{name} has no public address").into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// Whether a host of a URL is no address at all, or a public one.
pub(super) fn is_name_or_public(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(true, is_public)
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            let special = ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local();
            // Translated addresses (RFC 6052) and tunnels (RFC 3056) hold an IPv4 address in them.
            let inner = match ip.segments() {
                [0x64, 0xff9b, .., high, low] | [0x2002, high, low, ..] => Some((high, low)),
                _ => None,
            };
            let bytes = inner.map(|(high, low)| [high.to_be_bytes(), low.to_be_bytes()]);
            !special && bytes.is_none_or(|[[a, b], [c, d]]| is_public_v4(Ipv4Addr::new(a, b, c, d)))
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let special = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a == 198 && (18..20).contains(&b));
    !(shared
        || special
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_neighbours_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
            assert!(!is_name_or_public(private), "{private}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        assert!(is_name_or_public("example.com"));
        assert!(!is_name_or_public("[::1]"));
    }
}
