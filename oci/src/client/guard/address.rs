//! Which addresses are the internet's, and what the others are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is that is not the internet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Every machine's own.
    Loopback,
    /// One of this machine's own.
    Own,
    /// A private network's (RFC 1918, RFC 4193).
    Private,
    /// A link's, where clouds tell machines who they are.
    LinkLocal,
    /// Shared between a provider and its customers (RFC 6598).
    Shared,
    /// Of a group.
    Multicast,
    /// None at all.
    Unspecified,
    /// For documents and benchmarks.
    Documentation,
    /// Of a tunnel or a translation, which leads to another address.
    Tunnel,
    /// A cloud's service for its machines.
    Cloud,
    /// Set aside.
    Reserved,
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Own => "this machine's own address",
            Self::Private => "a private network's address",
            Self::LinkLocal => "a link-local address",
            Self::Shared => "an address of the shared space 100.64.0.0/10",
            Self::Multicast => "a multicast address",
            Self::Unspecified => "the unspecified address",
            Self::Documentation => "an address for documents and benchmarks",
            Self::Tunnel => "an address of a tunnel",
            Self::Cloud => "an address of a cloud's own services",
            Self::Reserved => "a reserved address",
        })
    }
}

/// What the address is, when it is not the internet's.
pub(super) fn inside(address: IpAddr) -> Option<Inside> {
    match address {
        IpAddr::V4(v4) => inside_v4(v4),
        IpAddr::V6(v6) => inside_v6(v6),
    }
}

/// IANA's registry of special-purpose addresses, and one that a cloud took from the public ones.
fn inside_v4(address: Ipv4Addr) -> Option<Inside> {
    Some(match address.octets() {
        [0, 0, 0, 0] => Inside::Unspecified,
        [127, ..] => Inside::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Inside::Private,
        [169, 254, ..] => Inside::LinkLocal,
        [100, 64..=127, ..] => Inside::Shared,
        [224..=239, ..] => Inside::Multicast,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => Inside::Documentation,
        [192, 88, 99, _] => Inside::Tunnel,
        [168, 63, 129, 16] => Inside::Cloud,
        [0 | 240..=255, ..] | [192, 0, 0, _] => Inside::Reserved,
        _ => return None,
    })
}

/// Only 2000::/3 is given out, and not all of it.
fn inside_v6(address: Ipv6Addr) -> Option<Inside> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return inside_v4(mapped);
    }
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Inside::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Inside::Loopback,
        // Translated by the network (RFC 6052): whoever has no IPv4 reaches all of it so.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return inside_v4(from_halves(high, low)),
        // The same, where each network may choose what it means (RFC 8215).
        [0x64, 0xff9b, 1, ..] => Inside::Tunnel,
        // 6to4, Teredo.
        [0x2002, ..] | [0x2001, 0, ..] => Inside::Tunnel,
        [0x2001, 2, 0, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Inside::Documentation,
        [0x2001, 0..=0x1ff, ..] => Inside::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        [0xfc00..=0xfdff, ..] => Inside::Private,
        [0xfe80..=0xfebf, ..] => Inside::LinkLocal,
        // Site-local, which the unique local ones replaced.
        [0xfec0..=0xfeff, ..] => Inside::Private,
        [0xff00..=0xffff, ..] => Inside::Multicast,
        _ => Inside::Reserved,
    })
}

fn from_halves(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Inside> {
        inside(text.parse().unwrap())
    }

    #[test]
    fn what_is_the_internets() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "169.253.255.255",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2001:200::1",
            "2600:1f18::1",
            "2a00:1450:4001::1",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not() {
        use Inside::*;
        for (text, what) in [
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Reserved),
            ("10.255.0.1", Private),
            ("100.64.0.1", Shared),
            ("100.100.100.200", Shared),
            ("127.0.0.1", Loopback),
            ("127.255.255.255", Loopback),
            ("168.63.129.16", Cloud),
            ("169.254.169.254", LinkLocal),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.0.0.192", Reserved),
            ("192.0.2.1", Documentation),
            ("192.88.99.1", Tunnel),
            ("192.168.0.1", Private),
            ("198.18.0.1", Documentation),
            ("198.51.100.1", Documentation),
            ("203.0.113.1", Documentation),
            ("224.0.0.1", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("::", Unspecified),
            ("::1", Loopback),
            ("::127.0.0.1", Reserved),
            ("::8.8.8.8", Reserved),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:0:127.0.0.1", Reserved),
            ("64:ff9b::127.0.0.1", Loopback),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", LinkLocal),
            ("64:ff9b:1::1.1.1.1", Tunnel),
            ("64:ff9b::1:0:1.1.1.1", Reserved),
            ("100::1", Reserved),
            ("2001::1", Tunnel),
            ("2001:0:7f00:1::", Tunnel),
            ("2001:2::1", Documentation),
            ("2001:10::1", Reserved),
            ("2001:db8::1", Documentation),
            ("2002:7f00:1::1", Tunnel),
            ("2002:808:808::1", Tunnel),
            ("3fff::1", Documentation),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
            ("fc00::1", Private),
            ("fd00:ec2::254", Private),
            ("fe80::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
        ] {
            assert_eq!(of(text), Some(what), "{text}");
        }
    }
}
