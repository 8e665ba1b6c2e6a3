//! The registry over loopback HTTP: our own client, the protocol by hand, tenants, and a foreign client.
// A failed unwrap is a failed test, in what the tests share too.
#![allow(clippy::unwrap_used)]

mod cleaning;
mod collecting;
mod conformance;
mod harness;
mod killed;
mod manifests;
mod pushes;
mod quota;
mod referrers;
mod resuming;
mod skopeo;
mod sweeping;
mod tenants;
mod uploads;
