//! Sandboxes on this machine.
//!
//! ```text
//!  zipship serve (outer)      what the user sees; forwards signals, waits
//!   └─ launcher               root, PID 1 of its own pid namespace, one thread, never waits long
//!       ├─ server             unprivileged; faces the network; asks over a socketpair
//!       ├─ runc ...           short-lived
//!       ├─ unpack             short-lived, chrooted, nearly no capabilities
//!       └─ instances          no capabilities, own namespaces, uid 1000
//! ```
//!
//! `life` is the outer process and the launcher's birth, `launcher` its loop, `wire` what it can be asked,
//! `client` the server's end of it.

mod client;
mod config;
mod sys;
mod wire;

pub use client::Client;
pub use config::{LauncherConfig, server_dir};
