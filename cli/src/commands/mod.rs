//! One file a sub-command.

pub(crate) mod images;
pub(crate) mod serve;
pub(crate) mod server;
