//! `registry.push` and `registry.pull`: the registry of a running server, with its rights and its log, beside Debian's
//! docker-registry, which asks nobody. The same client asks both over HTTP: small images as requests a second, blobs of
//! set M's size as megabytes a second, several at once.

mod client;

use std::time::Instant;

use anyhow::Context;
use serde_json::json;
use tokio::runtime::Handle;
use zipship_tests::{DockerRegistry, Server};

use self::client::{Image, Repository};
use crate::{
    compare::{self, Candidate},
    row::{Better, Row},
};

/// In the order in which they are measured.
pub(crate) const ROWS: &[&str] = &["registry.push", "registry.pull"];

const ROUNDS: usize = 5;
/// Names as the rows have them.
const SMALL: &str = "docker-registry, small images";
const LARGE: &str = "docker-registry, 18 MB blobs";

/// How much of what at once.
struct Load {
    peer: &'static str,
    unit: &'static str,
    /// Bytes of an image's one layer.
    layer: usize,
    images: usize,
    at_once: usize,
}

const LOADS: [Load; 2] = [
    Load { peer: SMALL, unit: "1/s", layer: 700, images: 100, at_once: 8 },
    Load { peer: LARGE, unit: "MB/s", layer: 18_000_000, images: 4, at_once: 4 },
];

/// Measures the rows of these names: one a size.
///
/// # Errors
/// When a registry cannot be had, or answers wrongly.
pub(crate) fn measure(names: &[&'static str], handle: &Handle) -> anyhow::Result<Vec<Row>> {
    let server = Server::start()?;
    let theirs = DockerRegistry::start()?;
    let ours = handle.block_on(our_repository(&server))?;
    let theirs = Repository::new(&format!("{}/bench/registry", theirs.address), None)?.keep(theirs);
    let mut rows = Vec::new();
    for load in &LOADS {
        eprintln!("measuring {}: {}", names.join(" and "), load.peer);
        rows.extend(one(load, [&ours, &theirs], handle)?);
    }
    rows.retain(|row| names.contains(&row.name));
    rows.sort_by_key(|row| ROWS.iter().position(|name| *name == row.name));
    server.stop()?;
    Ok(rows)
}

async fn our_repository(server: &Server) -> anyhow::Result<Repository> {
    let api = server.api();
    let namespace = json!({"name": "bench", "organization_id": api.organization()});
    let namespace = api.post("namespaces", &namespace).await?.expect(200);
    let endpoint = namespace["registry_endpoint"].as_str().context("registry_endpoint is a string")?;
    Repository::new(&format!("{endpoint}/registry"), Some(api.key()))
}

/// Pushes and then pulls what was pushed, by turns.
fn one(load: &Load, repositories: [&Repository; 2], handle: &Handle) -> anyhow::Result<Vec<Row>> {
    let names = ["zipship", load.peer];
    let candidates = names.into_iter().zip(repositories).map(|(name, repository)| Candidate {
        name,
        ready: Ok(()),
        sample: Box::new(move || {
            let images: Vec<Image> = (0..load.images).map(|_| Image::fresh(load.layer)).collect();
            let pushed = handle.block_on(timed(load, &images, |image| repository.push(image)))?;
            let pulled = handle.block_on(timed(load, &images, |image| repository.pull(image)))?;
            Ok([pushed, pulled])
        }),
    });
    let measured = compare::in_turn(candidates.collect(), ROUNDS)?;
    let row = |(at, name)| compare::rows(&measured, at, name, load.unit, Better::More);
    Ok(ROWS.iter().copied().enumerate().flat_map(row).collect())
}

/// A rate: requests or megabytes of layers a second. `act` returns how many requests it took.
async fn timed<'a, F>(load: &Load, images: &'a [Image], act: impl Fn(&'a Image) -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<usize>>,
{
    let started = Instant::now();
    let shares = images.chunks(images.len().div_ceil(load.at_once));
    let each = shares.map(async |share| {
        let mut requests = 0;
        for image in share {
            requests += act(image).await?;
        }
        anyhow::Ok(requests)
    });
    let requests: usize = futures_util::future::try_join_all(each).await?.into_iter().sum();
    let seconds = started.elapsed().as_secs_f64();
    let megabytes = (images.len() * load.layer) as f64 / 1e6;
    Ok(if load.unit == "1/s" { requests as f64 } else { megabytes } / seconds)
}
