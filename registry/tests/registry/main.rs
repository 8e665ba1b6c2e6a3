//! The registry over loopback HTTP: our own client, the protocol by hand, tenants, and a foreign client.

mod harness;
mod manifests;
mod pushes;
mod skopeo;
mod tenants;
mod uploads;
