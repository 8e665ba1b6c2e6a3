//! `build.M.sbom`: a build whose list of what is in the image is made and attached, beside the same without.

use super::{
    peers,
    pipeline::{Job, Pipeline, Step},
    push,
    sets::Set,
    world::World,
};
use crate::row::Row;

/// Many: the difference is small.
const ROUNDS: usize = 9;

static ALL: [Pipeline; 2] = [
    Pipeline { name: "zipship --sbom", prepare: |_| Ok(()), steps: with_sbom },
    Pipeline { name: "zipship without --sbom", prepare: |_| Ok(()), steps: peers::zipship },
];

pub(super) fn measure(world: &World, name: &'static str) -> anyhow::Result<Vec<Row>> {
    push::compared(world, name, &Set::named("M")?, &ALL, ROUNDS)
}

fn with_sbom(job: &Job<'_>) -> anyhow::Result<Vec<Step>> {
    let mut zipship = peers::zipship_command(job, peers::HANDLER)?;
    zipship.arg("--sbom");
    Ok(vec![Step::Run(zipship)])
}
