//! The gateway over instances that are real servers on Unix sockets.

mod deploys;
mod handlers;
mod holding;
mod proxying;
mod world;
