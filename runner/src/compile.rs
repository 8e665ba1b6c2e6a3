//! Compile jobs: a Go toolchain over somebody's source, in a sandbox without network, or with a forwarder as all its network.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One compile job. In the sandbox: the toolchain at `/usr/local/go`, the source at `/src` and `/gopath` (both
/// read-only), a writable `/out`, `/tmp` and `/cache`.
#[derive(Debug)]
pub struct CompileSpec {
    /// Its name, as an instance's.
    pub id: String,
    /// `builds/<id>/src` in the server's directory, readable by everybody.
    pub source: PathBuf,
    /// `builds/<id>/out` in the server's directory, writable by everybody (its parents need not be passable).
    pub out: PathBuf,
    /// The program and its arguments, such as `/usr/local/go/bin/go build ...`.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Where it runs: `/src`, `/gopath` or below one of them.
    pub workdir: String,
    /// Memory limit in MiB, `/tmp` and new files in `/cache` included.
    pub memory_mb: u32,
    /// When it is killed.
    pub timeout: Duration,
    /// Where its standard output and standard error go.
    pub log: OwnedFd,
    /// For a job that fetches: one end of a socket pair of `local::inlet`. The job finds a listening socket at
    /// [`FORWARDER`] in its own network namespace, which has nothing else, and the other end gets that socket.
    /// A job without it has no network at all.
    pub inlet: Option<OwnedFd>,
}

/// Where a job that fetches finds whoever forwards for it.
pub const FORWARDER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 3128);

/// How a compile job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompileOutcome {
    /// It exited by itself; 0 is success.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// It ran longer than allowed.
    TimedOut,
    /// It needed more memory than allowed.
    OutOfMemory,
}
