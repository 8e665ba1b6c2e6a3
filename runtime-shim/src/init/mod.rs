//! What the first process of a container does beside serving: descriptors, children, signals, logs, the end.

pub(crate) mod drain;
pub(crate) mod limit;
pub(crate) mod logs;
pub(crate) mod reap;
pub(crate) mod signals;
#[allow(unsafe_code)]
pub(crate) mod spawn;
