//! The client against a registry that misbehaves by script.
// A failed unwrap is a failed test, in what the tests share too.
#![allow(clippy::unwrap_used)]

mod auth;
mod faults;
mod pulls;
mod redirects;
mod scripted;
mod sources;
