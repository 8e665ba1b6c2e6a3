//! From a zip to an OCI image: a vetted archive becomes layers on top of a runtime's base image.

pub mod base;
