//! How many threads of a Go program may run at once (`GOMAXPROCS`).
//!
//! Go takes as many as the machine has cores, and since 1.25 two at least. An instance has less than one core
//! (CONTRACTS section 1), where a second thread makes nothing faster: threads wake each other, and together they use
//! up a period's quota early and stand still for the rest of it.

use std::collections::BTreeMap;
use std::path::Path;

use contract::environment::SCW_APPLICATION_MEMORY;
use contract::limits::cpu_of_memory;

const GOMAXPROCS: &str = "GOMAXPROCS";
/// Where a container sees the limits of its control group.
const CONTROL_GROUP: &str = "/sys/fs/cgroup";
/// Thousandths of a core.
const ONE_CORE: u64 = 1000;

/// What the program gets beside its own `environment`: nothing where that says how many, or there may be more than
/// one.
pub(super) fn variable(environment: &BTreeMap<String, String>) -> Option<(&'static str, String)> {
    variable_in(Path::new(CONTROL_GROUP), environment)
}

fn variable_in(
    control_group: &Path,
    environment: &BTreeMap<String, String>,
) -> Option<(&'static str, String)> {
    if environment.contains_key(GOMAXPROCS) {
        return None;
    }
    // The server sets the limit after the first answer, so that a start is fast: until then memory tells it.
    let share = limit(control_group).or_else(|| promised(environment))?;
    (share <= ONE_CORE).then(|| (GOMAXPROCS, "1".to_owned()))
}

/// The share that comes with the memory, in thousandths of a core.
fn promised(environment: &BTreeMap<String, String>) -> Option<u64> {
    let memory_mb = environment.get(SCW_APPLICATION_MEMORY)?.trim().parse().ok()?;
    cpu_of_memory(memory_mb).map(u64::from)
}

/// The share that the kernel holds it to, in thousandths of a core. `None`: all that there is.
fn limit(control_group: &Path) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(control_group.join(name)).ok();
    // Quota and period, in one file or, in the older hierarchy, in two.
    let text = read("cpu.max")
        .or_else(|| Some(read("cpu/cpu.cfs_quota_us")? + " " + &read("cpu/cpu.cfs_period_us")?))?;
    // Without a limit the quota is `max`, or -1: neither is a number of this kind.
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (quota, period) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    quota.checked_mul(ONE_CORE)?.checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is set with these files and variables.
    fn set(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            std::fs::write(file, text).expect("a file");
        }
        let environment = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        variable_in(folder.path(), &environment).map(|(name, value)| format!("{name}={value}"))
    }

    const ONE: Option<&str> = Some("GOMAXPROCS=1");

    #[test]
    fn every_memory_of_the_table_has_less_than_a_core() {
        for (memory, _) in contract::limits::MEMORY_TO_CPU {
            let memory = memory.to_string();
            assert_eq!(set(&[], &[("SCW_APPLICATION_MEMORY", &memory)]).as_deref(), ONE, "{memory}");
        }
        for other in ["2048", "", "much"] {
            assert_eq!(set(&[], &[("SCW_APPLICATION_MEMORY", other)]), None, "{other}");
        }
        assert_eq!(set(&[], &[]), None);
    }

    #[test]
    fn a_limit_of_the_kernel_decides_before_the_memory() {
        let small = [("SCW_APPLICATION_MEMORY", "128")];
        for (quota, alone, with_memory) in [
            ("14000 100000\n", ONE, ONE),
            ("100000 100000\n", ONE, ONE),
            ("100100 100000\n", None, None),
            ("400000 100000\n", None, None),
            ("max 100000\n", None, ONE),
            ("nonsense", None, ONE),
            ("1 0", None, ONE),
        ] {
            let file = [("cpu.max", quota)];
            assert_eq!(set(&file, &[]).as_deref(), alone, "{quota}");
            assert_eq!(set(&file, &small).as_deref(), with_memory, "{quota} with memory");
        }
        for (quota, expected) in [("56000\n", ONE), ("200000\n", None), ("-1\n", None)] {
            let files = [("cpu/cpu.cfs_quota_us", quota), ("cpu/cpu.cfs_period_us", "100000\n")];
            assert_eq!(set(&files, &[]).as_deref(), expected, "{quota}");
        }
    }

    #[test]
    fn the_users_own_number_stays() {
        let own = [("SCW_APPLICATION_MEMORY", "128"), ("GOMAXPROCS", "4")];
        assert_eq!(set(&[("cpu.max", "14000 100000")], &own), None);
    }
}
