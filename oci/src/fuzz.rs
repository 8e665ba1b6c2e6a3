//! What the fuzz targets feed of the parsers that are not public. Each takes any bytes, and panics only when a promise
//! is broken.

use crate::client::probe;

/// The `WWW-Authenticate` headers of an answer, one a line.
///
/// # Panics
/// When what was understood, written plainly, is understood otherwise.
pub fn challenge(bytes: &[u8]) {
    probe::challenge(bytes);
}

/// The registry's URL and an answer's `Location`, one a line.
///
/// # Panics
/// When the client would go where it must not.
pub fn location(bytes: &[u8]) {
    probe::location(bytes);
}

/// A repository's name and a credentials file behind it.
///
/// # Panics
/// When credentials are found that the file does not have.
pub fn credentials(bytes: &[u8]) {
    probe::credentials(bytes);
}
