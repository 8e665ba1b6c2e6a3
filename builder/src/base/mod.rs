//! Base images: built from a recipe and a lock file, kept as OCI layouts.

/// A runtime's base image.
pub struct Base;
