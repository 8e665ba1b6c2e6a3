//! Which headers cross the gateway, and which it sets.

use std::net::IpAddr;

use contract::event::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PREFIX, X_FORWARDED_PROTO, X_REQUEST_ID, X_ZIPSHIP_PROBE,
    is_request_id,
};
use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Uri, request};

use crate::Scheme;

/// Headers between two neighbours (RFC 9110 section 7.6.1); besides those that `Connection` names.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers of this name belong to the platform: never from callers or handlers.
const OWN_PREFIX: &str = "x-zipship-";

/// The caller's request id when it sent one that is well-formed, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if id.to_str().is_ok_and(is_request_id) => id.clone(),
        _ => text(&uuid::Uuid::new_v4().to_string()),
    }
}

/// What the gateway tells an instance of a request.
pub(crate) struct Told<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) scheme: Scheme,
    pub(crate) prefix: &'a str,
    pub(crate) request_id: &'a HeaderValue,
    /// The nonce, when this is a probe that is expected.
    pub(crate) probe: Option<&'a HeaderValue>,
}

/// Makes the caller's headers those that the instance sees.
pub(crate) fn to_instance(parts: &mut request::Parts, told: &Told<'_>) {
    let host = host(&parts.headers, &parts.uri);
    let headers = &mut parts.headers;
    strip(headers);
    // Answered by this server's own HTTP when the body is asked for.
    headers.remove(EXPECT);
    if let Some(host) = host {
        headers.insert(X_FORWARDED_HOST, host.clone());
        headers.insert(HOST, host);
    } else {
        headers.remove(X_FORWARDED_HOST);
        headers.insert(HOST, HeaderValue::from_static("localhost"));
    }
    headers.insert(X_FORWARDED_FOR, text(&told.peer.to_string()));
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(told.scheme.as_str()));
    headers.insert(X_FORWARDED_PREFIX, text(told.prefix));
    headers.insert(X_REQUEST_ID, told.request_id.clone());
    if let Some(probe) = told.probe {
        headers.insert(X_ZIPSHIP_PROBE, probe.clone());
    }
}

/// Removes what an instance must not tell a caller.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let own = headers.keys().filter(|name| name.as_str().starts_with(OWN_PREFIX)).cloned();
    let unwanted: Vec<HeaderName> = named.into_iter().chain(own).collect();
    unwanted.iter().for_each(|name| drop(headers.remove(name)));
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(*name)));
}

/// A header value of text that is known to be one; anything else would be empty.
pub(crate) fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

fn host(headers: &HeaderMap, uri: &Uri) -> Option<HeaderValue> {
    let authority = || uri.authority().map(|authority| text(authority.as_str()));
    headers.get(HOST).cloned().or_else(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(given: &[(&'static str, &str)], probe: Option<&HeaderValue>) -> HeaderMap {
        let mut request = http::Request::get("/").body(()).unwrap();
        for (name, value) in given {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let mut parts = request.into_parts().0;
        let request_id = request_id(&parts.headers);
        let peer = "127.0.0.1".parse().unwrap();
        let told = Told { peer, scheme: Scheme::Http, prefix: "/f/1", request_id: &request_id, probe };
        to_instance(&mut parts, &told);
        parts.headers
    }

    #[test]
    fn what_callers_say_of_themselves_is_not_believed() {
        let headers = seen(
            &[
                ("host", "example.org:8080"),
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-for", "7.7.7.7"),
                ("x-forwarded-host", "evil"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-prefix", "/evil"),
                ("x-zipship-probe", "guess"),
                ("x-zipship-anything", "1"),
            ],
            None,
        );
        let of = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(of("x-forwarded-host"), ["example.org:8080"]);
        assert_eq!(of("x-forwarded-proto"), ["http"]);
        assert_eq!(of("x-forwarded-prefix"), ["/f/1"]);
        assert_eq!(of("host"), ["example.org:8080"]);
        assert!(of("x-zipship-probe").is_empty() && of("x-zipship-anything").is_empty());
    }

    #[test]
    fn hop_by_hop_headers_and_those_that_connection_names_are_dropped() {
        let headers = seen(
            &[
                ("connection", "close, X-Mine"),
                ("x-mine", "1"),
                ("te", "trailers"),
                ("upgrade", "websocket"),
                ("transfer-encoding", "chunked"),
                ("expect", "100-continue"),
                ("x-kept", "1"),
                ("x-kept", "2"),
            ],
            None,
        );
        assert_eq!(headers.get_all("x-kept").iter().count(), 2);
        for name in ["connection", "x-mine", "te", "upgrade", "transfer-encoding", "expect"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn a_well_formed_request_id_is_kept_and_any_other_replaced() {
        assert_eq!(seen(&[("x-request-id", "my-id_1")], None)["x-request-id"], "my-id_1");
        for bad in [&[("x-request-id", "a b")][..], &[("x-request-id", "a"), ("x-request-id", "b")], &[]] {
            let headers = seen(bad, None);
            assert_eq!(headers.get_all("x-request-id").iter().count(), 1);
            assert_eq!(headers["x-request-id"].len(), 36, "{bad:?}");
        }
    }

    #[test]
    fn an_expected_probe_passes() {
        let nonce = HeaderValue::from_static("nonce");
        assert_eq!(seen(&[("x-zipship-probe", "nonce")], Some(&nonce))["x-zipship-probe"], "nonce");
    }
}
