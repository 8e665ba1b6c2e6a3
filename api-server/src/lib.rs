//! The API server: the HTTP API, the store, deploys, tokens, uploads.

pub mod config;
pub mod killpoint;
pub mod secrets;
pub mod slug;
pub mod store;
