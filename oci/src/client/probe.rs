//! The parsers of what registries and credential files say, for the fuzzers.

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};

use super::challenge::{Challenge, challenge as parse};
use super::keychain;
use super::{Credentials, location as follow};
use crate::reference::Reference;

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
        headers.append(WWW_AUTHENTICATE, value);
    }
    headers
}

/// # Panics
/// When a challenge that is written plainly is understood otherwise.
pub(crate) fn challenge(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let Some(found) = parse(&headers(&lines)) else { return };
    let plain = match &found {
        Challenge::Basic => "Basic".to_owned(),
        Challenge::Bearer { realm, service, scope } => {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let parameter = |name: &str, value: &Option<String>| {
                value.as_ref().map_or(String::new(), |value| format!(", {name}=\"{}\"", quoted(value)))
            };
            let (service, scope) = (parameter("service", service), parameter("scope", scope));
            format!("Bearer realm=\"{}\"{service}{scope}", quoted(realm))
        }
    };
    assert_eq!(parse(&headers(&[plain.as_bytes()])), Some(found), "{plain}");
}

/// # Panics
/// When the client would go from TLS to none, to a private address from a public one, or to no web address.
pub(crate) fn location(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (from, to) = (&bytes[..at], &bytes[at + 1..]);
    let from = str::from_utf8(from).ok().and_then(|from| Url::parse(from).ok());
    let Some(from) = from.filter(|from| matches!(from.scheme(), "http" | "https")) else { return };
    let Ok(to) = HeaderValue::from_bytes(to) else { return };
    let Ok(to) = follow::follow(&from, &HeaderMap::from_iter([(LOCATION, to)])) else { return };
    assert!(matches!(to.scheme(), "http" | "https"), "{to}");
    if (from.scheme(), from.host_str(), from.port_or_known_default())
        == (to.scheme(), to.host_str(), to.port_or_known_default())
    {
        return;
    }
    assert!(from.scheme() == "http" || to.scheme() == "https", "{from} to {to}");
    assert!(is_private(&from) || !is_private(&to), "{from} to {to}");
    assert!(!to.host_str().is_some_and(is_link_local) || from.host() == to.host(), "{from} to {to}");
}

fn is_link_local(host: &str) -> bool {
    matches!(host.parse::<IpAddr>(), Ok(IpAddr::V4(ip)) if ip.octets()[..2] == [169, 254])
}

/// Said once more, in other words than the parser's.
fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
    let v4 = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.octets(),
        Ok(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => ip.octets(),
            None => {
                let first = ip.segments()[0];
                return ip.is_loopback()
                    || ip.is_unspecified()
                    || first & 0xfe00 == 0xfc00
                    || first & 0xffc0 == 0xfe80;
            }
        },
        Err(_) => return host.rsplit('.').next() == Some("localhost"),
    };
    matches!(v4, [0, 0, 0, 0] | [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [169, 254, ..])
}

/// # Panics
/// When credentials are found that the file does not have.
pub(crate) fn credentials(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let reference = str::from_utf8(&bytes[..at]).ok().and_then(|name| Reference::parse(name).ok());
    let (Some(reference), file) = (reference, &bytes[at + 1..]) else { return };
    let Some(found) = keychain::probe(file, &reference) else { return };
    let shown = format!("{found:?}");
    let (user, secret) = match &found {
        Credentials::Anonymous => return,
        Credentials::Basic { user, password } => (user.as_str(), password),
        Credentials::Identity { token } | Credentials::Bearer { token } => ("", token),
    };
    // Short ones are found in any text.
    assert!(
        secret.len() < 12 || user.contains(secret.as_str()) || !shown.contains(secret.as_str()),
        "{shown}"
    );
    if !matches!(found, Credentials::Basic { .. }) {
        // Without escapes a token stands there as it is.
        let stands = file.windows(secret.len()).any(|text| text == secret.as_bytes());
        assert!(stands || file.contains(&b'\\'), "{secret}");
    }
}
