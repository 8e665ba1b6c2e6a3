//! The shim as it is run: the real binary, real interpreters, inherited sockets.

mod concurrency;
mod connection;
mod descriptors;
mod drain;
mod endurance;
mod event;
mod failures;
mod first;
mod golang;
mod golden;
mod harness;
mod isolation;
mod limits;
mod logs;
mod metrics;
mod misbehaving;
mod process;
mod robustness;
mod signals;
mod smuggling;
mod startup;
mod streams;
mod token;
mod vectors;
mod volume;
