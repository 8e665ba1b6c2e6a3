//! Instances: what is asked for, what is known about one, and its states.
//!
//! ```text
//!            start                runtime says started           first process ends
//!  (nothing) ─────▶ starting ───────────────────────▶ running ───────────────────────▶ cleaning ─▶ (gone)
//!                      │                                 │  stop: SIGTERM                ▲
//!                      │ runtime fails                   ▼                               │
//!                      │                              stopping ── ends, or SIGKILL ──────┤
//!                      └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The launcher moves them all; the end of a process (SIGCHLD) is the only evidence it believes. A stop during
//! `starting` is kept and done when the runtime has answered. The server's death moves every instance to
//! SIGKILL; the launcher's death takes all of them with it (they live in its pid namespace), and the next
//! launcher removes what they left: control groups, runtime state, sockets.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use oci::Digest;
use serde::{Deserialize, Serialize};

/// What an instance is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Its name: `[a-z0-9-]`, 1 to 64 characters, never used twice.
    pub id: String,
    /// The diff ids of its layers, the base first. All must be unpacked.
    pub layers: Vec<Digest>,
    /// The program and its arguments.
    pub entrypoint: Vec<String>,
    /// The environment of the image's configuration. No secrets: they travel over a descriptor.
    pub environment: BTreeMap<String, String>,
    /// An absolute path that exists in the image.
    pub working_directory: String,
    /// Memory limit in MiB; swap is not given on top.
    pub memory_mb: u32,
    /// Processes and threads at once.
    pub pids: u32,
    /// Free text that `list` gives back.
    pub labels: BTreeMap<String, String>,
}

/// The descriptors of an instance; they become 3, 4, 5 and 6 in it, and `ZIPSHIP_*_FD` say so.
#[derive(Debug)]
pub struct InstanceFds {
    /// A listening socket, Unix or TCP (descriptor 3).
    pub listen: OwnedFd,
    /// Where the ready line is written (4).
    pub ready: OwnedFd,
    /// Where log records are written (5).
    pub log: OwnedFd,
    /// Where the configuration is read from (6).
    pub control: OwnedFd,
}

/// The descriptors of an instance of a foreign image, one that knows nothing of ours.
#[derive(Debug)]
pub struct ForeignFds {
    /// A pipe that takes its standard output.
    pub stdout: OwnedFd,
    /// A pipe that takes its standard error.
    pub stderr: OwnedFd,
    /// A file with the rest of its environment, a `contract::instance::Control`: secrets belong here. It is read
    /// once, by the backend, and wins over the image's own.
    pub environment: OwnedFd,
}

/// Which loopback address an instance is reached at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// 127.0.0.1.
    V4,
    /// `::1`.
    V6,
}

/// Where an instance stands. See the diagram above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// The runtime is making it.
    Starting,
    /// Its first process runs.
    Running,
    /// It was told to end.
    Stopping,
    /// Its processes are gone, what they leave is being removed.
    Cleaning,
}

/// A layer that was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpackedLayer {
    /// The digest of its tar.
    pub diff_id: Digest,
    /// Since when it is there, in milliseconds since the Unix epoch.
    pub since: i64,
}

/// One line of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// The id it was started with.
    pub id: String,
    /// Where it stands.
    pub state: InstanceState,
    /// The labels it was started with.
    pub labels: BTreeMap<String, String>,
    /// How often the kernel has killed a process of it for want of memory; the instance itself may live on.
    pub oom_kills: u64,
}

/// The end of an instance: its first process is gone, and with it all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// Which instance.
    pub instance: String,
    /// The exit code, when it exited by itself.
    pub code: Option<i32>,
    /// The signal, when one ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed a process of it for want of memory, at any time of its life.
    pub out_of_memory: bool,
}
