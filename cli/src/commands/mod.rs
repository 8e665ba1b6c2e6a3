//! One file a sub-command.

pub(crate) mod build;
pub(crate) mod config;
pub(crate) mod cron;
pub(crate) mod database;
pub(crate) mod dev;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod invoke;
pub(crate) mod keys;
pub(crate) mod local_shim;
pub(crate) mod log_limits;
pub(crate) mod push;
pub(crate) mod registry;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod server;
pub(crate) mod state;
pub(crate) mod transfer;
