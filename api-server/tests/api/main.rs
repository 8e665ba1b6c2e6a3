//! The API called in process: router, store and archives are real, in a temporary directory. The binary `api` has the
//! store in SQLite, `api_postgres` in PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod access;
mod at_once;
mod bucket;
mod collection;
mod containers;
mod cron_runs;
mod cron_syntax;
mod crons;
mod database;
mod deploys;
mod described;
mod functions;
mod harness;
mod keys;
mod killed;
mod killpoints;
mod libraries;
mod lists;
mod locked;
mod logs;
mod namespaces;
mod rates;
mod registry;
mod rotation;
#[path = "../../../tests/settings.rs"]
mod settings;
mod store;
mod tokens;
mod tutorial;
mod uploads;
mod usage;
