//! One file a sub-command.

pub(crate) mod images;
