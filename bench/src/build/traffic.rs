//! `build.M.requests` and `build.M.redeploy.*`: what a first push and a push of a changed handler ask of the registry.

use super::{
    peers,
    pipeline::{Pipeline, Repository},
    relay::Relay,
    sets::Set,
    world::World,
};
use crate::{
    compare::{self, Candidate},
    row::{Better, Row},
};

const ROUNDS: usize = 5;
/// Of them only the shortest are compared: the others' first pushes are in `build.M`.
const COMPARED: [&str; 2] = ["zipship", "crane"];

/// Requests of a push to a repository that does not exist yet.
pub(super) fn first(world: &World, name: &'static str) -> anyhow::Result<Vec<Row>> {
    let set = Set::named("M")?;
    let candidates = compared().map(|pipeline| Candidate {
        name: pipeline.name,
        ready: (pipeline.prepare)(world),
        sample: Box::new(|| {
            let repository = Repository::fresh(world)?;
            let before = world.registry.requests()?;
            pipeline.run(world, (&set, &set.zip), (&world.registry.address, &repository), &mut |_| {})?;
            Ok([(world.registry.requests()? - before) as f64])
        }),
    });
    // Counts are the same each time.
    let measured = compare::in_turn(candidates.collect(), 1)?;
    Ok(compare::rows(&measured, 0, name, "1", Better::Less))
}

/// Time, bytes and requests of the same archive with another line in its handler, into the same repository and tag.
pub(super) fn redeploy(world: &World) -> anyhow::Result<Vec<Row>> {
    let set = Set::named("M")?;
    let relay = Relay::before(&world.registry.address)?;
    let candidates = compared().map(|pipeline| Candidate {
        name: pipeline.name,
        ready: (pipeline.prepare)(world),
        sample: Box::new(|| {
            let repository = Repository::fresh(world)?;
            let direct = world.registry.address.as_str();
            let push = |zip, host| pipeline.run(world, (&set, zip), (host, &repository), &mut |_| {});
            push(&set.zip, direct)?;
            let took = push(&set.changed, direct)?;
            // Once more for the counts, through the relay, in a repository that is at the same point.
            let repository = Repository::fresh(world)?;
            let push = |zip| pipeline.run(world, (&set, zip), (&relay.address, &repository), &mut |_| {});
            push(&set.zip)?;
            let (sent, requests) = (relay.sent(), world.registry.requests()?);
            push(&set.changed)?;
            let (sent, requests) = (relay.sent() - sent, world.registry.requests()? - requests);
            Ok([took.as_secs_f64() * 1000.0, sent as f64, requests as f64])
        }),
    });
    let measured = compare::in_turn(candidates.collect(), ROUNDS)?;
    let measures =
        [("build.M.redeploy.ms", "ms"), ("build.M.redeploy.bytes", "B"), ("build.M.redeploy.requests", "1")];
    let rows = measures.into_iter().enumerate();
    Ok(rows.flat_map(|(at, (name, unit))| compare::rows(&measured, at, name, unit, Better::Less)).collect())
}

fn compared() -> impl Iterator<Item = &'static Pipeline> {
    peers::ALL.iter().filter(|pipeline| COMPARED.contains(&pipeline.name))
}
