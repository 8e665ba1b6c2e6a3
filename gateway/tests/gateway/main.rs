//! The gateway over instances that are real servers on Unix sockets.

// A test that panics fails, which is what it is for; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used)]

mod deploys;
mod handlers;
mod holding;
mod proxying;
mod world;
