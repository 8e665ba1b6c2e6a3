//! The registry over loopback HTTP: our own client, the protocol by hand, tenants, and a foreign client.
// A failed unwrap is a failed test, in what the tests share too.
#![allow(clippy::unwrap_used)]

mod collecting;
mod conformance;
mod harness;
mod manifests;
mod pushes;
mod referrers;
mod skopeo;
mod tenants;
mod uploads;
