//! By which hosts of an image's name this server's registry is meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::uri::Authority;

/// A host and a port, as they compare.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: Host,
    port: u16,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Place {
    /// Reads `host[:port]`.
    pub(super) fn read(text: &str, usual_port: u16) -> Option<Self> {
        let authority = text.parse::<Authority>().ok().filter(|read| !read.as_str().contains('@'))?;
        let host = authority.host().to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let host = address.map_or(Host::Name(host), |address| Host::Address(address.to_canonical()));
        Some(Self { host, port: authority.port_u16().unwrap_or(usual_port) })
    }

    /// Whether this is the listener's, as its machine understands the host. For a name other than `localhost` that is
    /// not certain, nor for addresses that only the machine's interfaces know.
    pub(super) fn is_listener(&self, listen: SocketAddr) -> bool {
        let bound = listen.ip().to_canonical();
        let is_bound = |address: IpAddr| match bound.is_unspecified() {
            true => address.is_loopback() && (bound.is_ipv6() || address.is_ipv4()),
            false => address == bound,
        };
        self.port == listen.port()
            && match &self.host {
                Host::Address(address) => is_bound(*address),
                Host::Name(_) => {
                    self.is_this_machine()
                        && (is_bound(Ipv4Addr::LOCALHOST.into()) || is_bound(Ipv6Addr::LOCALHOST.into()))
                }
            }
    }

    /// Whether both are the machine that asks, at one port: `localhost:8080` and `127.0.0.1:8080`.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.port == other.port && self.is_this_machine() && other.is_this_machine()
    }

    fn is_this_machine(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost",
            Host::Address(address) => {
                [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].contains(address)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::read(text, 80).unwrap()
    }

    #[test]
    fn a_place_is_the_same_however_it_is_written() {
        for (one, other) in [
            ("Zip.Example", "zip.example:80"),
            ("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"),
            ("[::1]:8080", "[0:0::1]:8080"),
        ] {
            assert_eq!(place(one), place(other));
        }
        for (one, other) in [("a", "b"), ("a:80", "a:81"), ("127.0.0.1:80", "127.0.0.2:80")] {
            assert_ne!(place(one), place(other));
        }
        for text in ["", "a b", "u@a:80"] {
            assert_eq!(Place::read(text, 80), None, "{text}");
        }
    }

    #[test]
    fn a_listener_has_the_names_that_can_mean_nothing_else() {
        for (listen, own, others) in [
            (
                "127.0.0.1:8080",
                &["127.0.0.1:8080", "localhost:8080"][..],
                &["[::1]:8080", "127.0.0.2:8080", "localhost:8081", "localhost", "a:8080", "10.0.0.1:8080"][..],
            ),
            ("[::1]:8080", &["[::1]:8080", "localhost:8080"], &["127.0.0.1:8080"]),
            ("0.0.0.0:80", &["127.0.0.1", "127.0.0.2:80", "LOCALHOST:80"], &["[::1]:80", "10.0.0.1:80"]),
            ("[::]:80", &["127.0.0.1", "[::1]", "localhost"], &["[fe80::1]:80"]),
            ("10.0.0.1:80", &["10.0.0.1"], &["127.0.0.1", "localhost"]),
        ] {
            let listen = listen.parse().unwrap();
            for own in own {
                assert!(place(own).is_listener(listen), "{own} at {listen}");
            }
            for other in others {
                assert!(!place(other).is_listener(listen), "{other} at {listen}");
            }
        }
    }

    #[test]
    fn who_asks_on_loopback_names_loopback() {
        for (one, other) in [("localhost:9000", "127.0.0.1:9000"), ("[::1]:9000", "localhost:9000")] {
            assert!(place(one).is_beside(&place(other)));
        }
        for (one, other) in [("localhost:9000", "127.0.0.1:9001"), ("localhost:9000", "a:9000")] {
            assert!(!place(one).is_beside(&place(other)));
        }
    }
}
