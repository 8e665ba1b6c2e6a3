//! The HTTP API. One request: `router` → `auth` (whose key) → `page` or `json` (what is asked) → the resource's
//! file → the store → the answer. [`error`] is the only place where what went wrong becomes an answer; the status of
//! each kind is in `contract::api::error`.

mod applications;
mod arguments;
mod auth;
mod containers;
mod crons;
mod environment;
mod error;
mod functions;
mod guesses;
mod json;
mod logs;
mod missing;
mod namespaces;
mod openapi;
mod operation;
mod operations;
mod origin;
mod own_names;
mod page;
mod registry;
mod request_id;
mod router;
mod runtimes;
mod settings;
mod tokens;
mod uploads;
mod usage;

pub use error::HttpError;
pub use guesses::guarded;
pub use router::{router, with_request_ids};
