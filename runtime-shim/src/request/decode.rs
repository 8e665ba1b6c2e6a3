//! Percent-decoding that loses nothing.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A path: what does not decode to UTF-8, and what is no escape, stays as it is written (`%FF`).
pub(crate) fn path(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(lossless(percent_decode_str(text).collect()))
}

/// A part of a form or query: `+` is a space. Otherwise as [`path`].
pub(crate) fn form(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return path(text);
    }
    Cow::Owned(lossless(percent_decode_str(&text.replace('+', " ")).collect()))
}

fn lossless(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut out = String::new();
        for chunk in error.as_bytes().utf8_chunks() {
            out.push_str(chunk.valid());
            out.extend(chunk.invalid().iter().map(|byte| format!("%{byte:02X}")));
        }
        out
    })
}
