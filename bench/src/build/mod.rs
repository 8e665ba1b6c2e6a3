//! `build.*` and `layer.*`: from a zip on disk to an image in a registry, beside what others need for the same.
//!
//! The registry is Debian's docker-registry on loopback, with the base in it; each sample pushes to a repository of
//! its own. All who are compared take their turn in each round, so that what else the machine does meets all of
//! them; a number is the median of its rounds. Everybody begins with the zip, as whole cold processes, and ends with
//! an image that has the same base, the files, the user and the handler's variable. What an earlier build could have
//! left behind for a later one is thrown away between samples; the base is not.

mod golang;
mod layer;
mod memory;
mod peers;
mod pipeline;
mod push;
mod relay;
mod sbom;
mod sets;
mod traffic;
mod world;

use anyhow::Context;

use self::world::World;
use crate::row::Row;

/// In the order in which they are measured.
pub(crate) const ROWS: &[&str] = &[
    "build.S",
    "build.M",
    "build.L",
    "build.M.requests",
    "build.M.redeploy.ms",
    "build.M.redeploy.bytes",
    "build.M.redeploy.requests",
    "build.M.sbom",
    "build.rss",
    "build.go.first",
    "layer.M",
];

/// Rows that are measured together.
const REDEPLOY: &str = "build.M.redeploy.";

/// Measures the rows of these names: one a peer.
///
/// # Errors
/// When ours fails. A peer that does is a row with a reason.
pub(crate) fn measure(names: &[&'static str]) -> anyhow::Result<Vec<Row>> {
    let world = World::new()?;
    let mut rows = Vec::new();
    let redeploys = names.iter().filter(|name| name.starts_with(REDEPLOY));
    let skipped: Vec<_> = redeploys.skip(1).collect();
    for name in names.iter().filter(|name| !skipped.contains(name)) {
        eprintln!("measuring {name}");
        let measured = match *name {
            "build.S" | "build.M" | "build.L" => push::measure(&world, name),
            "build.M.requests" => traffic::first(&world, name),
            "build.M.sbom" => sbom::measure(&world, name),
            name if name.starts_with(REDEPLOY) => traffic::redeploy(&world),
            "build.rss" => memory::measure(&world, name),
            "build.go.first" => golang::measure(&world, name),
            "layer.M" => layer::measure(&world, name),
            other => anyhow::bail!("{other} is listed and not measured"),
        };
        rows.extend(measured.with_context(|| (*name).to_owned())?);
    }
    rows.retain(|row| names.contains(&row.name));
    Ok(rows)
}
