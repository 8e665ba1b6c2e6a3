//! Control groups: the runtime makes and limits them; here they are named, counted and cleared away.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use oci::Digest;

const MOUNT: &str = "/sys/fs/cgroup";

/// Which hierarchy holds the controllers. Hybrid machines count as version 1: that is where theirs sit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The parent group of everything that one launcher runs, named after its data directory.
#[derive(Debug, Clone)]
pub(crate) struct Cgroups {
    version: Version,
    parent: String,
}

impl Cgroups {
    /// `data_dir` must be canonical: the name must be the same at the next start.
    pub(crate) fn new(data_dir: &Path) -> Self {
        let unified = Path::new(MOUNT).join("cgroup.controllers").exists();
        let version = if unified { Version::Two } else { Version::One };
        let digest = Digest::of(data_dir.as_os_str().as_bytes());
        Self { version, parent: format!("/zipship-{}", &digest.hex()[..16]) }
    }

    /// The controllers that limits need and the machine does not offer.
    pub(crate) fn missing() -> Vec<&'static str> {
        missing(Path::new(MOUNT))
    }

    /// The group of one sandbox, as the runtime takes it.
    pub(crate) fn path(&self, id: &str) -> String {
        format!("{}/{id}", self.parent)
    }

    /// Whether a limit on memory and swap together can be set. Version 1 may be built or booted without.
    pub(crate) fn limits_swap(&self) -> bool {
        self.version == Version::Two || Path::new(MOUNT).join("memory/memory.memsw.limit_in_bytes").exists()
    }

    /// Whether the kernel killed something in this sandbox's group for want of memory.
    pub(crate) fn out_of_memory(&self, id: &str) -> bool {
        self.oom_kills(id) > 0
    }

    /// How often the kernel killed something in this sandbox's group for want of memory.
    pub(crate) fn oom_kills(&self, id: &str) -> u64 {
        let file = match self.version {
            Version::One => format!("{MOUNT}/memory{}/memory.oom_control", self.path(id)),
            Version::Two => format!("{MOUNT}{}/memory.events", self.path(id)),
        };
        fs::read_to_string(file).map_or(0, |text| oom_kills(&text))
    }

    /// Removes the parent and all below it, in every hierarchy; what still holds processes is tried again until
    /// `patience` is over.
    pub(crate) fn remove_all(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        for parent in self.parents()? {
            while let Err(error) = remove_groups(&parent) {
                if Instant::now() >= deadline {
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    fn parents(&self) -> io::Result<Vec<PathBuf>> {
        let name = self.parent.trim_start_matches('/');
        let mut parents = vec![Path::new(MOUNT).join(name)];
        if self.version == Version::One {
            for hierarchy in fs::read_dir(MOUNT)? {
                parents.push(hierarchy?.path().join(name));
            }
        }
        parents.retain(|parent| parent.is_dir());
        Ok(parents)
    }
}

fn missing(mount: &Path) -> Vec<&'static str> {
    let unified = fs::read_to_string(mount.join("cgroup.controllers")).ok();
    let offered = |name: &str| match &unified {
        Some(names) => names.split_whitespace().any(|offered| offered == name),
        None => mount.join(name).join("cgroup.procs").exists(),
    };
    ["cpu", "memory", "pids"].into_iter().filter(|name| !offered(name)).collect()
}

fn oom_kills(text: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// The files of a group can't be removed and need not be: only directories count.
fn remove_groups(group: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{missing, oom_kills};

    #[test]
    fn missing_controllers_are_seen_in_both_versions() {
        let mount = tempfile::tempdir().expect("a directory");
        let mount = mount.path();
        assert_eq!(missing(mount), ["cpu", "memory", "pids"]);
        for name in ["cpu", "pids"] {
            std::fs::create_dir(mount.join(name)).expect("a hierarchy");
            std::fs::write(mount.join(name).join("cgroup.procs"), "").expect("a file");
        }
        assert_eq!(missing(mount), ["memory"]);
        std::fs::write(mount.join("cgroup.controllers"), "cpuset cpu io memory\n").expect("a file");
        assert_eq!(missing(mount), ["pids"]);
    }

    #[test]
    fn both_versions_count_kills_under_the_same_name() {
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(oom_kills("low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\noom_group_kill 0\n"), 2);
        assert_eq!(oom_kills("oom_kill_disable 0\n"), 0);
    }
}
