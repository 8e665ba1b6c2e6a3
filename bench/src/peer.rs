//! Who we are compared with, measured in the same run.

pub(crate) mod podman;

/// A peer's number, or why there is none.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) value: Result<f64, String>,
}
