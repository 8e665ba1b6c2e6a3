//! `build.go.first`: the first build of a Go function, compiled with its vendored library, where the cache has the
//! standard library alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use zipship_tests::Example;

use super::{
    peers,
    pipeline::{Job, Pipeline, Repository, Step, unzip},
    sets::{Set, run},
    world::World,
};
use crate::{
    compare::{self, Candidate},
    row::{Better, Row},
};

const ROUNDS: usize = 3;

static ALL: [Pipeline; 2] = [
    Pipeline { name: "zipship", prepare: |_| Ok(()), steps: zipship },
    Pipeline { name: "go build + crane", prepare: |_| Ok(()), steps: go_and_crane },
];

pub(super) fn measure(world: &World, name: &'static str) -> anyhow::Result<Vec<Row>> {
    let zip = world.folder().join("go.zip");
    fs::write(&zip, Example::read("golang/hello")?.archive()?.bytes())?;
    let set = Set { runtime: "golang", base: "golang", changed: zip.clone(), zip };
    let candidates = ALL.iter().map(|pipeline| Candidate {
        name: pipeline.name,
        ready: Ok(()),
        sample: Box::new(|| {
            let repository = Repository::fresh(world)?;
            let warm = world.place.existing("ZIPSHIP_GO_CACHE")?;
            run(Command::new("cp").arg("-a").arg(warm).arg(cache(repository.folder())))?;
            let host = &world.registry.address;
            let took = pipeline.run(world, (&set, &set.zip), (host, &repository), &mut |_| {})?;
            Ok([took.as_secs_f64() * 1000.0])
        }),
    });
    let measured = compare::in_turn(candidates.collect(), ROUNDS)?;
    Ok(compare::rows(&measured, 0, name, "ms", Better::Less))
}

/// The sample's own copy of the warm cache.
fn cache(scratch: &Path) -> PathBuf {
    scratch.join("go-cache")
}

fn zipship(job: &Job<'_>) -> anyhow::Result<Vec<Step>> {
    let mut zipship = peers::zipship_command(job, ".")?;
    zipship.arg("--go-root").arg(job.world.place.existing("ZIPSHIP_GO_ROOT")?);
    zipship.arg("--go-cache").arg(cache(job.scratch));
    Ok(vec![Step::Run(zipship)])
}

fn go_and_crane(job: &Job<'_>) -> anyhow::Result<Vec<Step>> {
    let (unzip, source) = unzip(job)?;
    let out = job.scratch.join("out");
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let mut go = Command::new(job.world.place.existing("ZIPSHIP_GO_ROOT")?.join("bin/go"));
    go.args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o"])
        .arg(out.join("handler"));
    go.arg(".").current_dir(source).env("GOCACHE", cache(job.scratch)).env_remove("GOROOT");
    go.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=vendor").env("GOTOOLCHAIN", "local").env("GOAMD64", "v1");
    let before = [unzip, Step::Run(go)];
    Ok(before.into_iter().chain(peers::append(job, &out, ".")?).collect())
}
