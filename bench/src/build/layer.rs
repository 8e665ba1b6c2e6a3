//! `layer.M`: megabytes of tar that become a layer in a second, in this process, beside unzip, tar and gzip -6.

use std::{collections::BTreeMap, fs, process::Command, time::Instant};

use anyhow::Context;
use builder::{BuildRequest, layer::LayerOptions, zip::ArchiveLimits};
use contract::runtime::Runtime;

use super::{
    sets::{Set, run},
    world::World,
};
use crate::{
    compare::{self, Candidate},
    row::{Better, Row},
};

const ROUNDS: usize = 5;

pub(super) fn measure(world: &World, name: &'static str) -> anyhow::Result<Vec<Row>> {
    let set = Set::named("M")?;
    let archive = fs::read(&set.zip)?;
    let labels = BTreeMap::new();
    let request = BuildRequest {
        archive: &archive,
        runtime: Runtime::from_name(set.runtime).context("the runtime of M")?,
        handler: "handler.handle",
        base: world.base(set.base)?,
        limits: ArchiveLimits::default(),
        compile: None,
        labels: &labels,
        precompile: None,
        description: builder::Description::default(),
        layers: LayerOptions::default(),
    };
    let mut recompressed = 0;
    let ours = || {
        let started = Instant::now();
        let built = builder::build(&request)?;
        let took = started.elapsed().as_secs_f64();
        recompressed = built.report.layers.iter().map(|layer| layer.compressed_bytes).sum();
        let tar: u64 = built.report.layers.iter().map(|layer| layer.tar_bytes).sum();
        Ok([tar as f64 / 1e6 / took])
    };
    let candidates = vec![
        Candidate { name: "zipship", ready: Ok(()), sample: Box::new(ours) },
        Candidate { name: "unzip, tar, gzip -6", ready: Ok(()), sample: Box::new(|| classic(world, &set)) },
    ];
    let measured = compare::in_turn(candidates, ROUNDS)?;
    eprintln!("  bytes of M that were compressed again: {recompressed}");
    Ok(compare::rows(&measured, 0, name, "MB/s", Better::More))
}

fn classic(world: &World, set: &Set) -> anyhow::Result<[f64; 1]> {
    let scratch = tempfile::tempdir_in(world.folder())?;
    let (tree, tar) = (scratch.path().join("tree"), scratch.path().join("layer.tar"));
    let started = Instant::now();
    run(Command::new("unzip").arg("-q").arg(&set.zip).arg("-d").arg(&tree))?;
    run(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&tar).arg("."))?;
    run(Command::new("gzip").args(["-6", "--keep"]).arg(&tar))?;
    let took = started.elapsed().as_secs_f64();
    Ok([fs::metadata(&tar)?.len() as f64 / 1e6 / took])
}
