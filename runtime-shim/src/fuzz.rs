//! What the fuzz targets feed, and the tests replay: the parsers of what others write. Each takes any bytes, and
//! panics only when a promise is broken.

use crate::{golang, request, serve, worker};

/// One target: bytes in, nothing out.
pub type Target = fn(&[u8]);

/// The targets by name; `fuzz/corpus/<name>` has what is known to reach their corners.
pub const TARGETS: [(&str, Target); 5] =
    [("frames", frames), ("token", token), ("answer", answer), ("envelope", envelope), ("framing", framing)];

/// The frame decoder, over what a worker may write.
///
/// # Panics
/// When frames depend on how the bytes were cut, or do not write themselves back.
pub fn frames(bytes: &[u8]) {
    worker::probe::frames(bytes);
}

/// The token check of a private function, over what a caller may send.
///
/// # Panics
/// When something passes that no key of the namespace has signed.
pub fn token(bytes: &[u8]) {
    request::token::probe::run(bytes);
}

/// The metas of a worker's frames, down to the response's head.
///
/// # Panics
/// When a response says what HTTP cannot carry.
pub fn answer(bytes: &[u8]) {
    worker::probe::answer(bytes);
}

/// The answer of a Go handler, down to the response's head.
///
/// # Panics
/// When a response says what HTTP cannot carry.
pub fn envelope(bytes: &[u8]) {
    request::probe::run(&golang::envelope::answer(&bytes::Bytes::copy_from_slice(bytes)));
}

/// The framing of HTTP/1 connections, over what a caller may send.
///
/// # Panics
/// When what is refused depends on how the bytes were cut.
pub fn framing(bytes: &[u8]) {
    serve::probe::run(bytes);
}
