//! A sandbox, described once: the OCI runtime-spec document (version 1.0.2) of an instance, of a compile job and
//! of a precompile job.

use std::collections::BTreeMap;
use std::path::Path;

use contract::environment::{
    CONTAINER_UID, ZIPSHIP_CONTROL_FD, ZIPSHIP_LISTEN_FD, ZIPSHIP_LOG_FD, ZIPSHIP_READY_FD,
};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use super::seccomp;
use super::wire::{CompileCall, PrecompileCall};
use crate::{InstanceSpec, RESULT_BYTES, RESULTS_FD, SCRATCH, SOURCES};

/// Bytes of an instance's `/tmp`; what is written there counts as its memory too.
const TMP_BYTES: u64 = 64 << 20;
/// Bytes of a compile job's `/tmp`, counted as its memory too.
const COMPILE_TMP_BYTES: u64 = 1 << 30;
/// Bytes of the largest file that a compile job may write: `/out` lies on the machine's disk.
const COMPILE_FILE_BYTES: u64 = 512 << 20;
/// Processes and threads of a compile job.
const COMPILE_PIDS: u32 = 1024;
/// Bytes of a precompile job's scratch, counted as its memory too.
const SCRATCH_BYTES: u64 = 256 << 20;
/// Processes and threads of a precompile job: node has a dozen.
const PRECOMPILE_PIDS: u32 = 64;
/// Open files of a process in a sandbox; less where the machine does not allow as many.
const OPEN_FILES: u64 = 65_536;
/// Microseconds of a CPU period: 1 millicore is a quota of 100.
pub(crate) const CPU_PERIOD_US: u32 = 100_000;

/// What the machine decides about every sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// The root file system.
    pub root: &'a Path,
    /// The control group, as the runtime takes it.
    pub cgroup: &'a str,
    /// Whether memory and swap together can be limited.
    pub limits_swap: bool,
}

/// The document of an instance.
pub(crate) fn instance(spec: &InstanceSpec, frame: Frame<'_>) -> Value {
    let mut environment = variables(&spec.environment);
    // The order of `InstanceFds`, after the three standard descriptors.
    let names = [ZIPSHIP_LISTEN_FD, ZIPSHIP_READY_FD, ZIPSHIP_LOG_FD, ZIPSHIP_CONTROL_FD];
    environment.extend((3..).zip(names).map(|(number, name)| format!("{name}={number}")));
    let process = process(&spec.entrypoint, environment, &spec.working_directory, None);
    let mut mounts = system_mounts();
    mounts.push(tmpfs("/tmp", TMP_BYTES, &[]));
    document(process, mounts, resources(spec.memory_mb, spec.pids, frame), frame)
}

/// The document of an instance of a foreign image; `more` wins over the environment of the image.
pub(crate) fn foreign(spec: &InstanceSpec, more: &BTreeMap<String, String>, frame: Frame<'_>) -> Value {
    let mut environment = spec.environment.clone();
    environment.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
    let process = process(&spec.entrypoint, variables(&environment), &spec.working_directory, None);
    let mut mounts = system_mounts();
    mounts.push(tmpfs("/tmp", TMP_BYTES, &[]));
    document(process, mounts, resources(spec.memory_mb, spec.pids, frame), frame)
}

/// The document of a compile job; `points` is the directory with its `src`, `out` and `cache`, `network` the
/// namespace that was made for it, if one was.
pub(crate) fn compile(
    call: &CompileCall,
    toolchain: &Path,
    points: &Path,
    network: Option<&Path>,
    frame: Frame<'_>,
) -> Value {
    let process = process(&call.argv, variables(&call.environment), &call.workdir, Some(COMPILE_FILE_BYTES));
    let mut mounts = system_mounts();
    mounts.extend([
        tmpfs("/tmp", COMPILE_TMP_BYTES, &["exec"]),
        bind(toolchain, "/usr/local/go", "ro"),
        bind(&points.join("src"), "/src", "ro"),
        bind(&points.join("src"), "/gopath", "ro"),
        bind(&points.join("out"), "/out", "rw"),
        bind(&points.join("cache"), "/cache", "rw"),
    ]);
    let mut document = document(process, mounts, resources(call.memory_mb, COMPILE_PIDS, frame), frame);
    if let Some(network) = network
        && let Some(namespaces) = document["linux"]["namespaces"].as_array_mut()
    {
        for namespace in namespaces.iter_mut().filter(|namespace| namespace["type"] == "network") {
            namespace["path"] = json!(network);
        }
    }
    document
}

/// The document of a precompile job; `source` is what it sees at [`SOURCES`].
pub(crate) fn precompile(call: &PrecompileCall, source: &Path, frame: Frame<'_>) -> Value {
    // After the three standard descriptors comes the one that was handed over.
    const { assert!(RESULTS_FD == 3) };
    let process = process(&call.argv, variables(&call.environment), "/", Some(RESULT_BYTES));
    let mut mounts = system_mounts();
    // A root is read-only and has no place for the sources: they lie in the scratch, where one can be made.
    mounts.extend([tmpfs(SCRATCH, SCRATCH_BYTES, &[]), bind(source, SOURCES, "ro")]);
    document(process, mounts, resources(call.memory_mb, PRECOMPILE_PIDS, frame), frame)
}

fn variables(environment: &BTreeMap<String, String>) -> Vec<String> {
    environment.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn process(argv: &[String], environment: Vec<String>, directory: &str, file_bytes: Option<u64>) -> Value {
    // Limits may be lowered by anybody, and raised by few: never ask for more than there is.
    let open_files = getrlimit(Resource::Nofile).maximum.unwrap_or(OPEN_FILES).min(OPEN_FILES);
    let mut limits = vec![limit("RLIMIT_NOFILE", open_files), limit("RLIMIT_CORE", 0)];
    limits.extend(file_bytes.map(|bytes| limit("RLIMIT_FSIZE", bytes)));
    json!({
        "terminal": false,
        "user": {"uid": CONTAINER_UID, "gid": CONTAINER_UID, "umask": 0o022},
        "args": argv,
        "env": environment,
        "cwd": directory,
        "capabilities": {"bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": []},
        "rlimits": limits,
        "noNewPrivileges": true,
    })
}

fn limit(name: &str, value: u64) -> Value {
    json!({"type": name, "soft": value, "hard": value})
}

fn system_mounts() -> Vec<Value> {
    vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc",
            "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]}),
    ]
}

fn tmpfs(destination: &str, bytes: u64, more: &[&str]) -> Value {
    let size = format!("size={bytes}");
    let options: Vec<&str> =
        ["nosuid", "nodev", "mode=1777", &size].into_iter().chain(more.iter().copied()).collect();
    json!({"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options})
}

fn bind(source: &Path, destination: &str, access: &str) -> Value {
    json!({"destination": destination, "type": "bind", "source": source,
        "options": ["bind", access, "nosuid", "nodev"]})
}

/// No CPU quota: it is written after the first answer, so that a start is not slowed down.
fn resources(memory_mb: u32, pids: u32, frame: Frame<'_>) -> Value {
    let bytes = u64::from(memory_mb) << 20;
    let mut memory = json!({"limit": bytes});
    if frame.limits_swap {
        memory["swap"] = json!(bytes);
    }
    json!({
        "devices": [{"allow": false, "access": "rwm"}],
        "memory": memory,
        "pids": {"limit": pids},
    })
}

fn document(process: Value, mounts: Vec<Value>, resources: Value, frame: Frame<'_>) -> Value {
    let namespaces: Vec<Value> = ["pid", "mount", "ipc", "uts", "network", "cgroup"]
        .iter()
        .map(|kind| json!({"type": kind}))
        .collect();
    json!({
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": frame.root, "readonly": true},
        "hostname": "zipship",
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces,
            "cgroupsPath": frame.cgroup,
            "resources": resources,
            "rootfsPropagation": "private",
            "seccomp": seccomp::profile(),
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
                "/proc/timer_stats",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}
