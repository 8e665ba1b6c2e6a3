//! OCI names, digests, manifests, layers, image layouts, and the registry client.
//!
//! The types here keep what they do not understand (unknown JSON members survive a round trip) and digests
//! are always taken over the bytes that were received, never over something serialised again.
//!
//! * [`Digest`], [`Reference`]: how content and images are named.
//! * [`manifest`], [`config`]: the JSON documents of the OCI image specification.
//! * [`Layer`], [`Image`]: an image as a value; [`layout`] reads and writes it as a directory, [`archive`] writes it as
//!   one file.
//! * [`artifact`]: documents about an image, attached to it.
//! * [`client`]: push, pull and tag against a registry.
//! * [`source`]: an image to build on, whose layers stay where they are until they are read.
#![forbid(unsafe_code)]

pub mod archive;
pub mod artifact;
pub mod client;
pub mod config;
pub mod digest;
#[doc(hidden)]
pub mod fuzz;
pub mod image;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod reference;
pub mod source;

pub use digest::Digest;
pub use image::{Image, ImageIndex, ImageLayer};
pub use layer::Layer;
pub use reference::Reference;
