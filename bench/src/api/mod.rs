//! `api.*`: a server with 10,000 functions: one of them read, all of them listed, its start, and its memory at rest.

mod list;
mod read;
mod start;
mod world;

use anyhow::Context as _;

use self::world::World;
use crate::{
    peer::Peer,
    row::{Better, Row},
};

/// In the order in which they are measured.
pub(crate) const ROWS: &[&str] = &["api.read", "api.list", "api.start", "api.rss"];

/// Measures the rows of these names.
///
/// # Errors
/// When the server can't be had or answers wrongly.
pub(crate) async fn measure(names: &[&'static str]) -> anyhow::Result<Vec<Row>> {
    eprintln!("making {} functions", world::FUNCTIONS);
    let mut world = World::make().await?;
    let mut rows = Vec::new();
    for name in names.iter().copied() {
        eprintln!("measuring {name}");
        rows.push(one(name, &mut world).await.with_context(|| name.to_owned())?);
    }
    world.server.stop()?;
    Ok(rows)
}

async fn one(name: &'static str, world: &mut World) -> anyhow::Result<Row> {
    let alone = || Peer { name: "none", value: Err("no other server of this API can be had".to_owned()) };
    Ok(match name {
        "api.read" => Row::milliseconds(name, read::p99_ms(world).await?, alone()),
        "api.list" => {
            let list = list::measure(world).await?;
            let first = Peer { name: "our own first page", value: Ok(list.first_ms) };
            Row::milliseconds(name, list.last_ms, first)
        }
        "api.start" => Row::milliseconds(name, start::median_ms(world)?, alone()),
        "api.rss" => Row::new(name, start::memory_mb(world)?, "MB", Better::Less, alone()),
        other => anyhow::bail!("{other} is listed and not measured"),
    })
}
