//! What all builds share: the registry with the bases in it, and the programs.

use std::{cell::Cell, collections::BTreeMap, path::Path, process::Command};

use anyhow::Context;
use builder::{
    Architecture,
    base::{self, Base},
};
use tempfile::TempDir;
use zipship_tests::{DockerRegistry, Place};

use super::sets::run;

/// The bases that the sets need.
pub(super) const BASES: [&str; 3] = ["node10", "python311", "golang"];

pub(super) struct World {
    pub(super) place: Place,
    pub(super) registry: DockerRegistry,
    /// As `zipship images build` made them.
    bases: BTreeMap<&'static str, Base>,
    scratch: TempDir,
    serial: Cell<u32>,
}

impl World {
    pub(super) fn new() -> anyhow::Result<Self> {
        let place = Place::find()?;
        let registry = DockerRegistry::start()?;
        let scratch = tempfile::Builder::new().prefix("zipship-bench-build-").tempdir()?;
        let mut world = Self { place, registry, bases: BTreeMap::new(), scratch, serial: Cell::new(0) };
        let images = world.place.existing("ZIPSHIP_IMAGES")?;
        for name in BASES {
            let base = base::locate(&images, name, Architecture::Amd64)?;
            // With skopeo, so that its cache knows where the layers are, as after any earlier build.
            run(Command::new("skopeo")
                .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"])
                .arg(format!("oci:{}", base.layout.display()))
                .arg(format!("docker://{}", world.base_image(name))))?;
            world.bases.insert(name, base);
        }
        Ok(world)
    }

    /// The base as the registry has it.
    pub(super) fn base_image(&self, base: &str) -> String {
        format!("{}/base/{base}:latest", self.registry.address)
    }

    pub(super) fn base(&self, name: &str) -> anyhow::Result<&Base> {
        self.bases.get(name).with_context(|| format!("no base {name}"))
    }

    /// For what a pipeline keeps from one build to the next.
    pub(super) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// A name that was never used before.
    pub(super) fn fresh(&self) -> String {
        self.serial.set(self.serial.get() + 1);
        format!("s{}", self.serial.get())
    }
}
