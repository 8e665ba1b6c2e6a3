//! Percent-decoding that loses nothing, and Latin-1.

/// A path: what does not decode to UTF-8, and what is no escape, stays as it is written (`%FF`).
pub(crate) fn path(text: &str) -> String {
    lossless(percent_encoding::percent_decode_str(text).collect())
}

/// A part of a form or query: `+` is a space. Otherwise as [`path`].
pub(crate) fn form(text: &str) -> String {
    lossless(percent_encoding::percent_decode_str(&text.replace('+', " ")).collect())
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

/// Each byte is the character of its number.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
