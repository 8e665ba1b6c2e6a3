//! What a server could leave behind: processes, mounts, cgroups.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use sha2::{Digest, Sha256};

use crate::server::mentions;

/// The kernel takes a moment to reap and to unmount.
const DEADLINE: Duration = Duration::from_secs(5);

/// What belonged to a server while it ran.
#[derive(Debug)]
pub(crate) struct Leftovers {
    data: PathBuf,
    /// A mount that was there before it.
    disk: Option<PathBuf>,
    /// Process id and start time: an id alone may be somebody else's by then.
    processes: Vec<(u32, u64)>,
    cgroups: BTreeSet<PathBuf>,
}

impl Leftovers {
    /// Takes note of all descendants of `root`, and of the cgroups that they have for themselves.
    pub(crate) fn of(root: u32, data: &Path, disk: Option<&Path>) -> Self {
        let processes = descendants(root);
        let ours = cgroups("self");
        let mut theirs: BTreeSet<_> =
            processes.iter().flat_map(|(pid, _)| cgroups(&pid.to_string())).collect();
        theirs.extend(parents_of_sandboxes(data));
        let (data, disk) = (data.to_owned(), disk.map(Path::to_owned));
        Self { data, disk, processes, cgroups: theirs.difference(&ours).cloned().collect() }
    }

    /// # Errors
    /// Lists what is still there after a moment.
    pub(crate) fn assert_gone(&self) -> anyhow::Result<()> {
        Self::wait_until_empty(|| self.left())
    }

    /// Only the processes: what else a killed server leaves, its next start removes.
    ///
    /// # Errors
    /// Lists what still runs after a moment.
    pub(crate) fn assert_no_process(&self) -> anyhow::Result<()> {
        Self::wait_until_empty(|| self.running())
    }

    fn wait_until_empty(left: impl Fn() -> Vec<String>) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = left();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the server left something behind:\n{}", left.join("\n"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether this line of a process's mounts is of the server's disk.
    fn is_disk(&self, mount: &str) -> bool {
        let point = mount.split(' ').nth(4).map(Path::new);
        self.disk.is_some() && point == self.disk.as_deref()
    }

    fn running(&self) -> Vec<String> {
        let same = |(pid, started): &&(u32, u64)| stat(*pid).is_some_and(|now| now.started == *started);
        let running = self.processes.iter().filter(same);
        running
            .map(|(pid, _)| format!("process {pid}: {}", read(*pid, "cmdline").replace('\0', " ")))
            .collect()
    }

    fn left(&self) -> Vec<String> {
        let mut left = self.running();
        for cgroup in self.cgroups.iter().filter(|cgroup| cgroup.exists()) {
            left.push(format!("cgroup {}", cgroup.display()));
        }
        // Mounts may live on in another process's namespace, so all are asked.
        for pid in pids() {
            let text = read(pid, "mountinfo");
            let mounts = text.lines().filter(|line| mentions(line, &self.data) && !self.is_disk(line));
            for mount in mounts {
                left.push(format!("mount, seen by process {pid}: {mount}"));
            }
            if read(pid, "cmdline").split('\0').any(|argument| mentions(argument, &self.data)) {
                left.push(format!("process {pid} works on {}", self.data.display()));
            }
        }
        left
    }
}

struct Stat {
    parent: u32,
    started: u64,
}

/// Of `/proc/<pid>/stat`, whose second field may hold spaces and parentheses. A zombie counts as gone.
fn stat(pid: u32) -> Option<Stat> {
    let text = read(pid, "stat");
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    Some(Stat { parent: fields.get(1)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
}

/// Ids and start times of a process and all that it started, and so on.
pub(crate) fn descendants(root: u32) -> Vec<(u32, u64)> {
    let all: BTreeMap<u32, Stat> = pids().into_iter().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.into_iter().filter_map(|pid| Some((pid, all.get(&pid)?.started))).collect()
}

/// The folders of a process's cgroups, in every hierarchy but the root.
fn cgroups(pid: &str) -> BTreeSet<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
            let base = Path::new("/sys/fs/cgroup");
            let hierarchy = match controllers {
                "" if base.join("cgroup.controllers").exists() => base.to_owned(),
                "" => base.join("unified"),
                controllers => base.join(controllers.trim_start_matches("name=")),
            };
            (!path.is_empty()).then(|| hierarchy.join(path))
        })
        .collect()
}

/// Where the launcher makes the groups of its sandboxes, those that ended before too: a parent named after the data
/// folder, in every hierarchy.
fn parents_of_sandboxes(data: &Path) -> Vec<PathBuf> {
    let canonical = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let digest = Sha256::digest(canonical.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("zipship-{name}");
    let base = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(base).into_iter().flatten().filter_map(Result::ok);
    let parents = hierarchies.map(|hierarchy| hierarchy.path().join(&name));
    parents.chain([base.join(&name)]).collect()
}

/// Ids of the sandboxes in which something runs: of each one group.
pub(crate) fn sandboxes(data: &Path) -> BTreeSet<String> {
    let parents = parents_of_sandboxes(data).into_iter().filter_map(|parent| fs::read_dir(parent).ok());
    let inhabited = parents.flatten().filter_map(Result::ok).filter(|group| {
        let processes = fs::read_to_string(group.path().join("cgroup.procs"));
        processes.is_ok_and(|processes| !processes.trim().is_empty())
    });
    inhabited.map(|group| group.file_name().to_string_lossy().into_owned()).collect()
}

/// The processes in a sandbox.
pub(crate) fn processes_of(data: &Path, sandbox: &str) -> Vec<u32> {
    let groups = parents_of_sandboxes(data).into_iter().map(|parent| parent.join(sandbox));
    let texts = groups.filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok());
    let processes: BTreeSet<u32> = texts
        .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>())
        .collect();
    processes.into_iter().collect()
}

/// The children of a process whose command line has this argument.
pub(crate) fn children(parent: u32, argument: &str) -> Vec<u32> {
    let of_parent = |pid: &u32| stat(*pid).is_some_and(|stat| stat.parent == parent);
    let has = |pid: &u32| read(*pid, "cmdline").split('\0').any(|one| one == argument);
    pids().into_iter().filter(of_parent).filter(has).collect()
}

fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn read(pid: u32, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
