//! The client against a registry that misbehaves by script.

mod auth;
mod faults;
mod pulls;
mod redirects;
mod scripted;
