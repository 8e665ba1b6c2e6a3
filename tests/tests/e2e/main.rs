//! End to end: the real server, real containers, real node, python and go. Needs root, and what `scripts/setup test`
//! and `scripts/build` make.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

mod any_base;
mod arm64;
mod arrows;
mod backup;
mod bad_input;
mod bucket;
mod caches;
mod clients;
mod collection;
mod configuration;
mod containers;
mod crons;
mod database;
mod deploy_command;
mod errors_of_code;
mod examples;
mod fuzzer;
mod golang;
mod http_form;
mod images;
mod isolation;
mod keys;
mod killpoints;
mod lock;
mod logs;
mod lone;
mod operation;
mod own_base;
mod private;
mod redeploy;
mod registry_login;
mod serverless;
mod taint;
mod tutorial;
mod usage;
