//! Processes below another, and whether they are gone.

use std::fs;

/// The processes below one, at any depth, at a moment.
#[derive(Debug)]
pub(crate) struct Processes(Vec<(u32, u64)>);

impl Processes {
    pub(crate) fn below(pid: u32) -> Self {
        let all: Vec<(u32, u32, u64)> = running().collect();
        let mut found: Vec<(u32, u64)> = Vec::new();
        let mut parents = vec![pid];
        while let Some(parent) = parents.pop() {
            for (pid, _, started) in all.iter().filter(|(_, of, _)| *of == parent) {
                parents.push(*pid);
                found.push((*pid, *started));
            }
        }
        Self(found)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those that still run. A number that another process has now does not count.
    pub(crate) fn left(&self) -> Vec<u32> {
        let now: Vec<_> = running().map(|(pid, _, started)| (pid, started)).collect();
        self.0.iter().filter(|one| now.contains(one)).map(|(pid, _)| *pid).collect()
    }
}

/// Id, parent, and start time of every process that has not ended.
fn running() -> impl Iterator<Item = (u32, u32, u64)> {
    fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may have spaces.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let is_gone = matches!(*fields.first()?, "Z" | "X");
        let (parent, started) = (fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?);
        (!is_gone).then_some((pid, parent, started))
    })
}
