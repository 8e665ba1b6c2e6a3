//! The client against a registry that misbehaves by script.
// A failed unwrap is a failed test, in what the tests share too.
#![allow(clippy::unwrap_used)]

mod attached;
mod auth;
mod environment;
mod faults;
mod guarded;
mod progress;
mod pulls;
mod raw;
mod redirects;
mod requests;
mod scripted;
mod secrets;
mod sources;
mod uploads;
