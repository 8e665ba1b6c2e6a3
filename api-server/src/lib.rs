//! The API server: the HTTP API, the store, deploys, tokens, uploads.

pub mod archives;
pub mod backup;
pub mod collection;
pub mod config;
pub mod crons;
pub mod deploy;
pub mod effect;
pub mod http;
pub mod image_name;
pub mod instances;
pub mod killpoint;
pub mod logs;
pub mod metrics;
pub mod rate;
pub mod registry_access;
pub mod removal;
pub mod rotation;
pub mod secrets;
pub mod serve;
pub mod slug;
pub mod state;
pub mod store;
pub mod tokens;
pub mod usage;

pub use config::Config;
pub use state::{AppState, Deployments};
