//! The real shim with real workers: node and python3 of this machine, and programs that its Go compiles.
//! `ZIPSHIP_TEST_NODE` names another node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

mod faults;
mod golang;
mod http;
mod limits;
mod serving;
mod startup;
mod tokens;
mod vectors;
mod world;
