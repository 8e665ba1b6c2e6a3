//! What all builds share: the registry with the bases in it, and the programs.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use tempfile::TempDir;
use zipship_tests::Place;

use super::{registry::DockerRegistry, sets::run};

/// The bases that the sets need.
pub(super) const BASES: [&str; 2] = ["node10", "python311"];

pub(super) struct World {
    pub(super) place: Place,
    pub(super) registry: DockerRegistry,
    /// Layouts of the bases, as `zipship images build` made them.
    bases: BTreeMap<&'static str, PathBuf>,
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
        for base in BASES {
            let current = images.join(base).join("current");
            let current = fs::read_to_string(&current).with_context(|| current.display().to_string())?;
            let layout = images.join(base).join(current.trim());
            // With skopeo, so that its cache knows where the layers are, as after any earlier build.
            run(Command::new("skopeo")
                .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"])
                .arg(format!("oci:{}", layout.display()))
                .arg(format!("docker://{}", world.base_image(base))))?;
            world.bases.insert(base, layout);
        }
        Ok(world)
    }

    /// The base as the registry has it.
    pub(super) fn base_image(&self, base: &str) -> String {
        format!("{}/base/{base}:latest", self.registry.address)
    }

    pub(super) fn layout(&self, base: &str) -> anyhow::Result<&Path> {
        Ok(self.bases.get(base).with_context(|| format!("no base {base}"))?)
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
