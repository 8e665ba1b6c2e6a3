//! The builder from outside: archives of real tools and of attackers, layers as other decoders see them,
//! Go with the real toolchain.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod archive;
mod caches;
mod cases;
mod compression;
mod differential;
mod foreign;
mod golang;
mod image;
mod joiner;
mod kept;
mod layers;
mod modules;
mod producers;
mod proxy;
mod refusals_page;
mod rules;
mod seeds;
mod tools;
