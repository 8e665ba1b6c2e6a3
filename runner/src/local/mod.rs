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

mod certificate;
mod cgroup;
mod check;
mod client;
mod compile;
mod config;
mod descriptors;
mod foreign;
mod inlet;
mod jail;
mod launcher;
mod layers;
pub mod life;
mod machine;
mod oci_runtime;
mod overlay;
mod paths;
mod sandboxes;
mod seccomp;
mod server;
mod spawn;
mod spec;
mod sys;
mod tree;
mod unpack;
mod wire;

pub use client::Client;
pub use config::{CertificateFiles, Hangup, LauncherConfig, server_dir};
pub use inlet::{Inlet, inlet};
pub use server::configuration;
