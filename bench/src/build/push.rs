//! `build.S`, `build.M`, `build.L`: from the zip to the pushed image, all processes together.

use super::{
    peers,
    pipeline::{Pipeline, Repository},
    sets::Set,
    world::World,
};
use crate::{
    compare::{self, Candidate},
    row::{Better, Row},
};

pub(super) fn measure(world: &World, name: &'static str) -> anyhow::Result<Vec<Row>> {
    let set = Set::named(name.trim_start_matches("build."))?;
    // Small ones are cheap to repeat, and noisier.
    let rounds = if name == "build.S" { 11 } else { 5 };
    compared(world, name, &set, &peers::ALL, rounds)
}

/// The pipelines in turn, ours first, each into a repository that does not exist yet.
pub(super) fn compared(
    world: &World,
    name: &'static str,
    set: &Set,
    pipelines: &[Pipeline],
    rounds: usize,
) -> anyhow::Result<Vec<Row>> {
    let candidates = pipelines.iter().map(|pipeline| Candidate {
        name: pipeline.name,
        ready: (pipeline.prepare)(world),
        sample: Box::new(|| {
            let repository = Repository::fresh(world)?;
            let host = &world.registry.address;
            let took = pipeline.run(world, (set, &set.zip), (host, &repository), &mut |_| {})?;
            Ok([took.as_secs_f64() * 1000.0])
        }),
    });
    let measured = compare::in_turn(candidates.collect(), rounds)?;
    Ok(compare::rows(&measured, 0, name, "ms", Better::Less))
}
