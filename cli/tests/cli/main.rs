//! The command line as users have it: the real binary, the real shim, real node, python and go.

mod attest;
mod base;
mod build;
mod cron;
mod deploy;
mod dev;
mod endings;
mod examples;
mod golang;
mod harness;
mod invoke;
mod reload;
mod resources;
mod several;
