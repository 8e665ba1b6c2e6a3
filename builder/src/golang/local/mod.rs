//! The compiler on this machine, without a sandbox.

mod fence;
mod room;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use super::modules::{Forwarder, ModuleLimits, ModuleProxy};
use super::{Compile, CompileError, CompileJob, Download, OUTPUT, PROGRAM_BYTES};
use room::{Call, Modules, Room};

pub use fence::has_no_network;

/// Compiles with a Go toolchain of this machine, in a temporary directory, with a clean environment and limits of
/// time and file size, without network where the machine lets users make namespaces, but **without a sandbox**:
/// for one's own code on one's own machine, never for strangers'.
#[derive(Debug, Clone)]
pub struct LocalCompile {
    /// The toolchain's root, which has `bin/go`.
    pub toolchain: PathBuf,
    /// Go's build cache; made when missing.
    pub cache: PathBuf,
    /// How long a compilation may take.
    pub timeout: Duration,
    /// Where modules that are not vendored come from.
    pub proxy: Option<ModuleProxy>,
    /// Where fetched modules are kept for the next build; made when missing.
    pub modules: PathBuf,
}

impl Compile for LocalCompile {
    fn compile(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        let mut modules = Modules::Absent;
        if let Some(download) = &job.download {
            self.fetch(download)?;
            modules = Modules::Seen;
        }
        let room = Room::new(self, modules).map_err(unavailable)?;
        room.lay_out(&job.files).map_err(unavailable)?;
        let call = Call {
            argv: &job.argv,
            environment: &job.environment,
            workdir: &job.workdir,
            timeout: self.timeout,
            network: false,
        };
        let (status, words) = room.run(&call)?;
        if !status.success() {
            return Err(CompileError::rejected(words));
        }
        let program = room.outside(OUTPUT);
        match fs::metadata(&program).map_err(unavailable)?.len() {
            0..=PROGRAM_BYTES => fs::read(program).map_err(unavailable),
            bytes => Err(CompileError::Rejected(format!(
                "the program has {bytes} bytes, at most {PROGRAM_BYTES} are possible"
            ))),
        }
    }
}

/// For the go tool to read the forwarder's last words.
const GRACE: Duration = Duration::from_secs(10);

impl LocalCompile {
    /// `go mod download` through a forwarder on loopback, in a room of its own.
    fn fetch(&self, download: &Download) -> Result<(), CompileError> {
        let proxy = self.proxy.as_ref().ok_or_else(|| download.unavailable())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(unavailable)?;
        let address = format!("http://{}", listener.local_addr().map_err(unavailable)?);
        let room = Room::new(self, Modules::Absent).map_err(unavailable)?;
        room.lay_out(&download.files).map_err(unavailable)?;
        let limits = ModuleLimits::default();
        let forwarder =
            Forwarder::start(proxy, limits, &self.modules, move || Ok(listener)).map_err(unavailable)?;
        let mut environment = download.environment.clone();
        environment.insert("GOPROXY".to_owned(), address.clone());
        let call = Call {
            argv: &download.argv,
            environment: &environment,
            workdir: &download.workdir,
            // The forwarder gives up first, and says what took so long.
            timeout: limits.time + GRACE,
            network: true,
        };
        let ran = room.run(&call);
        let forwarded = forwarder.finish().map_err(unavailable)?;
        tracing::debug!(forwarded.requests, forwarded.bytes, "modules were fetched");
        if !ran.as_ref().is_ok_and(|(status, _)| status.success()) {
            // What go.sum does not vouch for is asked for again next time; what is gone already is as well.
            forwarded.fresh.iter().for_each(|path| drop(fs::remove_file(path)));
        }
        match ran? {
            (status, _) if status.success() => Ok(()),
            (_, words) => Err(Download::rejected(&words, &address)),
        }
    }
}

fn unavailable(error: io::Error) -> CompileError {
    CompileError::Unavailable(error.to_string())
}
