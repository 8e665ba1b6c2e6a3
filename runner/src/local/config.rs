//! What the launcher is told at its start, by the person who starts it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

/// The launcher's configuration. Everything in it is trusted; nothing that comes over the socket is.
#[derive(Debug, Clone)]
pub struct LauncherConfig {
    /// Root-owned directory. `server/` in it belongs to the server, `launcher/` to the launcher alone.
    pub data_dir: PathBuf,
    /// User of the server process; neither 0 nor that of the sandboxes (1000).
    pub uid: u32,
    /// Group of the server process, not 0.
    pub gid: u32,
    /// Arguments after the program's name with which this same executable becomes the server.
    pub server: Vec<String>,
    /// More variables for the server, in place of inherited ones: what is too secret for its arguments.
    pub server_environment: Vec<(String, SecretString)>,
    /// The OCI runtime, such as `runc`; looked up in `PATH` when it has no slash.
    pub runtime: PathBuf,
    /// The Go toolchain (its GOROOT) for compile jobs; without it they are refused.
    pub go_toolchain: Option<PathBuf>,
    /// A Go build cache that holds the compiled standard library, offered to compile jobs read-only.
    pub go_cache: Option<PathBuf>,
    /// How long the server may take to end after SIGTERM.
    pub shutdown: Duration,
}

/// The part of the data directory that is the server's own: `run/` for sockets, `builds/` for compile jobs, and
/// whatever else it keeps.
pub fn server_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("server")
}
