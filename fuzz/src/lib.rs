//! The fuzz targets: bytes in, a panic when a promise is broken. `fuzz/corpus/<name>` has what is known to reach their
//! corners; tests replay it.

mod archive;
mod documents;
mod streams;

/// One target: bytes in, nothing out.
pub type Target = fn(&[u8]);

/// The targets of builder and registry client; those of the shim are its own.
pub const TARGETS: [(&str, Target); 6] = [
    ("zip", archive::zip),
    ("deflate", streams::deflate),
    ("documents", documents::documents),
    ("challenge", oci::fuzz::challenge),
    ("location", oci::fuzz::location),
    ("credentials", oci::fuzz::credentials),
];

/// All targets by name.
pub fn targets() -> impl Iterator<Item = (&'static str, Target)> {
    runtime_shim::fuzz::TARGETS.into_iter().chain(TARGETS)
}

/// For tests: what `deflate` makes of its input, as stream and plain bytes.
#[must_use]
pub fn stream(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    streams::stream(bytes)
}
