//! `build.rss`: the most anonymous memory that any one of a pipeline's commands has at once, whatever is built. Their
//! own children and the writer of a pipe are not counted, in favour of the others: ours has none.
//!
//! Read from `RssAnon` of `/proc/PID/status`, asked again and again while the process runs; `VmHWM`, which counts
//! mapped files too, is shown beside it. Ours builds S, M, L and an archive of 1 GiB; the others S, M and L.

use std::{
    fs::{self, File},
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::Duration,
};

use anyhow::Context;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

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

/// Finer than the shortest process.
const POLL_EVERY: Duration = Duration::from_micros(500);
const MIB: usize = 1 << 20;
/// Of the large archive's files.
const FILE: usize = 16 * MIB;

pub(super) fn measure(world: &World, name: &'static str) -> anyhow::Result<Vec<Row>> {
    let sets = ["S", "M", "L"].map(|name| Set::named(name).map(|set| (name, set)));
    let sets: Vec<(&str, Set)> = sets.into_iter().collect::<anyhow::Result<_>>()?;
    let large = large(world)?;
    let candidates = peers::ALL.iter().map(|pipeline| Candidate {
        name: pipeline.name,
        ready: (pipeline.prepare)(world),
        sample: Box::new(|| {
            let mut worst = 0.0f64;
            for (label, set) in &sets {
                worst = worst.max(one(world, pipeline, label, (set, &set.zip))?);
            }
            if pipeline.name == peers::ALL[0].name {
                worst = worst.max(one(world, pipeline, "1 GiB", (&large, &large.zip))?);
            }
            Ok([worst])
        }),
    });
    let measured = compare::in_turn(candidates.collect(), 1)?;
    Ok(compare::rows(&measured, 0, name, "MB", Better::Less))
}

fn one(world: &World, pipeline: &Pipeline, label: &str, what: (&Set, &Path)) -> anyhow::Result<f64> {
    let mut peak = Peak::default();
    let repository = Repository::fresh(world)?;
    pipeline.run(world, what, (&world.registry.address, &repository), &mut |child| peak.follow(child))?;
    let (anonymous, all) = (peak.anonymous * 1024.0 / 1e6, peak.all * 1024.0 / 1e6);
    eprintln!("  {} builds {label}: RssAnon {anonymous:.1} MB, VmHWM {all:.1} MB", pipeline.name);
    Ok(anonymous)
}

/// The largest values seen, in KiB.
#[derive(Default)]
struct Peak {
    anonymous: f64,
    all: f64,
}

impl Peak {
    /// Until the process has ended.
    fn follow(&mut self, child: &Child) {
        let path = format!("/proc/{}/status", child.id());
        // A process that has ended has no memory, and no such lines.
        while let Ok(status) = fs::read_to_string(&path)
            && let Some(anonymous) = kilobytes(&status, "RssAnon:")
        {
            self.anonymous = self.anonymous.max(anonymous);
            self.all = self.all.max(kilobytes(&status, "VmHWM:").unwrap_or_default());
            thread::sleep(POLL_EVERY);
        }
    }
}

fn kilobytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// An archive of a gibibyte: one compressed file under many names.
fn large(world: &World) -> anyhow::Result<Set> {
    let zip: PathBuf = world.folder().join("large.zip");
    let mut one = ZipWriter::new(Cursor::new(Vec::new()));
    one.start_file("file", SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))?;
    one.write_all(&letters(FILE))?;
    let mut one = ZipArchive::new(one.finish()?)?;
    let each = one.by_index(0)?.compressed_size();
    let mut all = ZipWriter::new(File::create(&zip).with_context(|| zip.display().to_string())?);
    all.start_file("handler.js", SimpleFileOptions::default())?;
    all.write_all(b"exports.handle = () => 'large';\n")?;
    for number in 0..(1u64 << 30).div_ceil(each) {
        all.raw_copy_file_rename(one.by_index(0)?, format!("data/{number}"))?;
    }
    all.finish()?;
    Ok(Set { runtime: "node10", base: "node10", changed: zip.clone(), zip })
}

/// Sixty-four letters in no order: deflate saves a quarter, and no repetition.
fn letters(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'0' + (state >> 32) as u8 % 64
    };
    (0..length).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_status() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nRssAnon:\t     812 kB\n";
        assert_eq!((kilobytes(status, "RssAnon:"), kilobytes(status, "VmHWM:")), (Some(812.0), Some(2048.0)));
        assert_eq!(kilobytes("Name:\tx\n", "RssAnon:"), None);
    }
}
