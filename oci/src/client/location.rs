//! Where a `Location` header leads, and whether the client goes there.

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::{HeaderMap, LOCATION};

use super::error::ClientError;

/// The absolute URL of an answer's `Location`, which may be relative and carries its query untouched.
///
/// The same origin is always fine. Another one must be https, unless the registry itself is spoken to
/// without TLS; and a registry on a public address cannot send the client to a private one.
pub(super) fn follow(from: &Url, headers: &HeaderMap) -> Result<Url, ClientError> {
    let location =
        headers.get(LOCATION).ok_or_else(|| ClientError::protocol(from, "the answer has no Location"))?;
    let to = location.to_str().ok().and_then(|text| from.join(text).ok());
    let to = to.ok_or_else(|| ClientError::protocol(from, "the answer's Location is no URL"))?;
    if !matches!(to.scheme(), "http" | "https") {
        return Err(ClientError::protocol(from, format!("refused to follow a Location to {}:", to.scheme())));
    }
    if same_origin(from, &to) {
        return Ok(to);
    }
    if to.scheme() != "https" && from.scheme() == "https" {
        return Err(ClientError::protocol(from, "refused to follow a Location from https to http"));
    }
    if is_link_local(&to) && from.host() != to.host() {
        // Where clouds tell machines who they are. No registry is there.
        return Err(ClientError::protocol(from, "refused to follow a Location to a link-local address"));
    }
    if is_private(&to) && !is_private(from) {
        return Err(ClientError::protocol(from, "refused to follow a Location to a private address"));
    }
    Ok(to)
}

/// Whether two URLs have scheme, host and port in common: credentials stay within one origin.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

/// Whether the host is `localhost` or a literal address of this machine, a private network or a link.
fn is_private(url: &Url) -> bool {
    // A name may end in the root's dot and is the same name.
    let Some(host) = url.host_str().map(|host| host.trim_end_matches('.')) else { return false };
    if host == "localhost" || host.ends_with(".localhost") || is_link_local(url) {
        return true;
    }
    match literal(url) {
        Some(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_unspecified(),
        Some(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local(),
        None => false,
    }
}

fn is_link_local(url: &Url) -> bool {
    match literal(url) {
        Some(IpAddr::V4(ip)) => ip.is_link_local(),
        Some(IpAddr::V6(ip)) => ip.is_unicast_link_local(),
        None => false,
    }
}

/// The host, when it is an address.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn go(from: &str, to: &'static str) -> Result<String, ClientError> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(to))]);
        follow(&Url::parse(from).unwrap(), &headers).map(String::from)
    }

    #[test]
    fn relative_ones_keep_their_query() {
        assert_eq!(
            go("http://h:1/v2/a/blobs/uploads/", "x?_state=A%3D%3D").unwrap(),
            "http://h:1/v2/a/blobs/uploads/x?_state=A%3D%3D"
        );
        assert_eq!(go("http://h:1/v2/a/", "/u/1").unwrap(), "http://h:1/u/1");
        assert_eq!(go("https://h/v2/a/", "//other/u").unwrap(), "https://other/u");
    }

    #[test]
    fn what_is_not_followed() {
        assert!(go("https://h/", "http://h/").is_err());
        assert!(go("https://h/", "ftp://h/").is_err());
        assert!(go("https://h/", "https://169.254.169.254/").is_err());
        assert!(go("https://h/", "https://[::ffff:10.0.0.1]/").is_err());
        assert!(go("https://h/", "https://localhost/").is_err());
        assert!(go("https://h/", "https://a.localhost./").is_err());
        assert!(follow(&Url::parse("https://h/").unwrap(), &HeaderMap::new()).is_err());
        assert!(go("http://10.0.0.1/", "http://169.254.169.254/").is_err());
        assert!(go("http://10.0.0.1/", "http://[fe80::1]/").is_err());
        assert!(go("http://169.254.1.1:1/", "http://169.254.1.1:2/").is_ok());
        assert!(go("https://10.0.0.1/", "https://10.0.0.2/").is_ok());
        assert!(go("https://h/", "https://cdn.example/").is_ok());
    }
}
