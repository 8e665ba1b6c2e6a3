//! Precompile jobs: the interpreter of an image over somebody's sources, in a sandbox without network. What it makes
//! comes out through one descriptor; nothing of the machine's disk is writable inside.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use oci::Digest;

/// One precompile job. In the sandbox: the image's files, the sources at [`SOURCES`] (all of it read-only), and a
/// [`SCRATCH`] in memory.
#[derive(Debug)]
pub struct PrecompileSpec {
    /// Its name, as an instance's.
    pub id: String,
    /// The image's layers by diff id, the lowest first; each must have been unpacked.
    pub layers: Vec<Digest>,
    /// `builds/<id>/src` in the server's directory, readable by everybody (its parents need not be passable).
    pub source: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Memory limit in MiB, the scratch included.
    pub memory_mb: u32,
    /// When it is killed.
    pub timeout: Duration,
    /// Where its standard output and standard error go.
    pub log: OwnedFd,
    /// Its descriptor [`RESULTS_FD`]: a pipe, or a file of the server's own.
    pub results: OwnedFd,
}

/// Where a precompile job finds its sources.
pub const SOURCES: &str = "/tmp/src";
/// Where a precompile job may write.
pub const SCRATCH: &str = "/tmp";
/// The descriptor that takes a precompile job's results.
pub const RESULTS_FD: u32 = 3;
/// Bytes of the largest file that a precompile job may write: its results, and its words.
pub const RESULT_BYTES: u64 = 128 << 20;
