//! The nouns of the end-to-end tests: [`Server`] (the real `zipship serve`), [`Api`] (a client that holds a key),
//! [`Function`], [`Zip`] and [`Example`]. Benchmarks use the same.
//!
//! A server that is stopped asserts that nothing is left of it: no process, no mount, no cgroup.

mod api;
mod bucket;
mod command;
mod container;
mod disk;
mod docker_registry;
mod example;
mod function;
mod guard;
mod leftovers;
mod modules;
mod place;
mod postgres;
mod server;
mod shim;
mod zip;

pub use api::{Answer, Api};
pub use bucket::Bucket;
pub use command::Ran;
pub use container::Container;
pub use docker_registry::DockerRegistry;
pub use example::{Call, Example};
pub use function::{Function, Spec};
pub use modules::module_proxy;
pub use place::Place;
pub use postgres::Postgres;
pub use server::Server;
pub use shim::{LoneShim, free_port, in_root};
pub use zip::Zip;
