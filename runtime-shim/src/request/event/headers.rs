//! `headers` and `multiValueHeaders`: what belongs to the connection is left out, names are in canonical case.

use hyper::HeaderMap;
use hyper::header::{CONNECTION, EXPECT, HOST, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use super::super::ascii::{push_latin1, push_text};

/// Tells which headers belong to one connection: by their name, or because `Connection` lists them.
pub(crate) struct HopByHop<'a> {
    listed: Vec<&'a str>,
}

impl<'a> HopByHop<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let lists = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        Self { listed: lists.flat_map(|list| list.split(',')).map(str::trim).collect() }
    }

    /// `name` in lower case.
    pub(crate) fn has(&self, name: &str) -> bool {
        let always = matches!(
            name,
            "connection"
                | "keep-alive"
                | "proxy-authenticate"
                | "proxy-authorization"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        );
        always || self.listed.iter().any(|listed| listed.eq_ignore_ascii_case(name))
    }
}

/// Appends both maps: the last value of each name, then all of them in order.
pub(super) fn push(out: &mut Vec<u8>, head: &Parts) {
    let hop_by_hop = HopByHop::of(&head.headers);
    // Values of one name follow each other. `Expect` was dealt with by the server.
    let kept = || head.headers.iter().filter(|(name, _)| **name != EXPECT && !hop_by_hop.has(name.as_str()));
    // HTTP/2 has it beside the headers.
    let authority =
        head.uri.authority().filter(|_| !head.headers.contains_key(HOST)).map(|host| host.as_str());

    out.extend(br#","headers":{"#);
    if let Some(host) = authority {
        out.extend(br#""Host":"#);
        push_text(out, host);
        out.push(b',');
    }
    push_last(out, kept());
    close(out, b'}');

    out.extend(br#","multiValueHeaders":{"#);
    if let Some(host) = authority {
        out.extend(br#""Host":["#);
        push_text(out, host);
        out.extend(b"],");
    }
    push_all(out, kept());
    close(out, b'}');
}

fn push_last<'a>(out: &mut Vec<u8>, headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) {
    let mut headers = headers.peekable();
    while let Some((name, value)) = headers.next() {
        if headers.peek().is_none_or(|(next, _)| *next != name) {
            push_name(out, name);
            push_latin1(out, value.as_bytes());
            out.push(b',');
        }
    }
}

fn push_all<'a>(out: &mut Vec<u8>, headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) {
    let mut last: Option<&HeaderName> = None;
    for (name, value) in headers {
        if last != Some(name) {
            if last.is_some() {
                close(out, b']');
                out.push(b',');
            }
            push_name(out, name);
            out.push(b'[');
        }
        push_latin1(out, value.as_bytes());
        out.push(b',');
        last = Some(name);
    }
    if last.is_some() {
        close(out, b']');
    }
}

/// Ends a list whose last element may have a comma behind it.
pub(super) fn close(out: &mut Vec<u8>, end: u8) {
    match out.last_mut() {
        Some(comma @ b',') => *comma = end,
        _ => out.push(end),
    }
}

/// `content-type` as `"Content-Type":`. A name has no character that JSON escapes.
fn push_name(out: &mut Vec<u8>, name: &HeaderName) {
    out.push(b'"');
    let mut is_start = true;
    out.extend(name.as_str().bytes().map(|byte| {
        let letter = if is_start { byte.to_ascii_uppercase() } else { byte };
        is_start = byte == b'-';
        letter
    }));
    out.extend(b"\":");
}
