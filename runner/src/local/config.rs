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
    /// What the server reads from a descriptor ([`configuration`](super::configuration)), at each of its starts: in
    /// neither its arguments nor its environment, where others might see it.
    pub server_configuration: SecretString,
    /// Variables of this process that the server does not inherit.
    pub server_without: Vec<String>,
    /// What the server hands to its callers as proof of who it is, where it speaks TLS. Read by root each time that
    /// the server asks.
    pub certificate: Option<CertificateFiles>,
    /// What SIGHUP does.
    pub hangup: Hangup,
    /// The OCI runtime, such as `runc`; looked up in `PATH` when it has no slash.
    pub runtime: PathBuf,
    /// The Go toolchain (its GOROOT) for compile jobs; without it they are refused.
    pub go_toolchain: Option<PathBuf>,
    /// A Go build cache that holds the compiled standard library, offered to compile jobs read-only.
    pub go_cache: Option<PathBuf>,
    /// How long the server may take to end after SIGTERM.
    pub shutdown: Duration,
}

/// Absolute paths of PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those that it was signed by.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What SIGHUP says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// The terminal has gone: end, as for SIGTERM.
    Ends,
    /// There is no terminal: the server is to look at its files again.
    Reloads,
}

/// The part of the data directory that is the server's own: `run/` for sockets, `builds/` for compile jobs, and
/// whatever else it keeps.
pub fn server_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("server")
}
