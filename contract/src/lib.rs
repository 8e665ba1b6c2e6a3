//! What the parts of zipship agree on: the container's environment, runtimes and handler syntax, token
//! claims, limits, what crosses an instance's descriptors, and the wire types of the API.
//!
//! This crate knows serde, serde_json, thiserror and nothing else: no I/O, no clock, no async. Everything of ours
//! may depend on it; it depends on nothing of ours.

pub mod api;
pub mod environment;
pub mod event;
pub mod instance;
pub mod limits;
pub mod runtime;
pub mod token;
