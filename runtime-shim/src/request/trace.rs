//! W3C Trace Context: a request's `traceparent` reaches the handler in its headers, and the caller in the answer's.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header, when there is exactly one and it is well-formed (version 00, or a later one that starts like it).
pub(crate) fn of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?;
    let is_one = values.next().is_none();
    (is_one && is_traceparent(value.as_bytes())).then(|| value.clone())
}

/// Answers with the caller's trace, unless the handler named one itself.
pub(crate) fn answer(traceparent: Option<HeaderValue>, headers: &mut HeaderMap) {
    if let Some(value) = traceparent {
        headers.entry(TRACEPARENT).or_insert(value);
    }
}

/// The same trace in the words of AWS X-Ray, as Lambda's libraries read it.
pub(crate) fn xray(traceparent: &HeaderValue) -> Option<String> {
    let parts: Vec<&str> = traceparent.to_str().ok()?.split('-').collect();
    let [_, trace, span, flags, ..] = *parts.as_slice() else { return None };
    if !is_traceparent(traceparent.as_bytes()) {
        return None;
    }
    let (seconds, rest) = trace.split_at(8);
    let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    Some(format!("Root=1-{seconds}-{rest};Parent={span};Sampled={}", u8::from(is_sampled)))
}

fn is_traceparent(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
    let [version, trace, span, flags, rest @ ..] = &*parts else { return false };
    let is_hex = |part: &[u8], length: usize| {
        part.len() == length && part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_set = |part: &[u8]| part.iter().any(|byte| *byte != b'0');
    is_hex(version, 2)
        && *version != b"ff"
        && (rest.is_empty() || *version != b"00")
        && is_hex(trace, 32)
        && is_set(trace)
        && is_hex(span, 16)
        && is_set(span)
        && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_ray_has_its_own_form() {
        let xray = |text| xray(&HeaderValue::from_static(text));
        let got = xray("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let expected = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";
        assert_eq!(got.as_deref(), Some(expected));
        assert_eq!(xray("nonsense"), None);
    }

    #[test]
    fn only_what_the_standard_calls_a_traceparent() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for good in
            [format!("00-{trace}-00f067aa0ba902b7-01"), format!("01-{trace}-00f067aa0ba902b7-00-more")]
        {
            assert!(is_traceparent(good.as_bytes()), "{good}");
        }
        for bad in [
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
        ] {
            assert!(!is_traceparent(bad.as_bytes()), "{bad}");
        }
    }
}
