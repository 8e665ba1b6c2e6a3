//! Instances: what runs a function's containers, behind one trait. `local` is this machine: a small root
//! launcher makes the sandboxes, an unprivileged server asks it for them.
//!
//! This crate does not know the gateway, the API or the builder: it is told what should run and reports what
//! does.

mod compile;
mod compression;
mod error;
mod instance;
pub mod local;
mod precompile;

use std::fs::File;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use oci::Digest;
use tokio::sync::mpsc::UnboundedReceiver;

pub use compile::{CompileOutcome, CompileSpec, FORWARDER};
pub use compression::Compression;
pub use error::RunnerError;
pub use instance::{
    Exited, Family, ForeignFds, InstanceFds, InstanceInfo, InstanceSpec, InstanceState, UnpackedLayer,
};
pub use precompile::{PrecompileSpec, RESULT_BYTES, RESULTS_FD, SCRATCH, SOURCES};

/// A boxed future, so that the trait below can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that runs instances.
///
/// Every call may be dropped half way: what was asked for still happens, only its answer is lost.
pub trait Backend: Send + Sync {
    /// Unpacks one layer into the backend's store, checked against `diff_id` (the digest of the tar).
    ///
    /// Idempotent: a layer that is there already costs nothing. `blob` is read from its start.
    fn unpack(
        &self,
        diff_id: &Digest,
        blob: File,
        compression: Compression,
    ) -> BoxFuture<'_, Result<(), RunnerError>>;

    /// What [`Backend::unpack`] has brought and nobody has removed.
    fn layers(&self) -> BoxFuture<'_, Result<Vec<UnpackedLayer>, RunnerError>>;

    /// Removes an unpacked layer. `false`: something that runs uses it, or it is not there.
    fn remove_layer(&self, diff_id: &Digest) -> BoxFuture<'_, Result<bool, RunnerError>>;

    /// Starts an instance; resolves when its first process runs (not when it is ready: see the ready line).
    fn start(&self, spec: InstanceSpec, fds: InstanceFds) -> BoxFuture<'_, Result<(), RunnerError>>;

    /// Starts an instance of a foreign image; resolves when its first process runs. It listens where it likes on the
    /// loopback of its own network, see [`Backend::socket`].
    fn start_foreign(&self, spec: InstanceSpec, fds: ForeignFds) -> BoxFuture<'_, Result<(), RunnerError>>;

    /// A new TCP socket inside the network of a running instance, not connected, non-blocking.
    fn socket(&self, id: &str, family: Family) -> BoxFuture<'_, Result<OwnedFd, RunnerError>>;

    /// Limits the CPU of a running instance, in thousandths of a core. Until this is called it has no limit.
    fn limit_cpu(&self, id: &str, millicores: u32) -> BoxFuture<'_, Result<(), RunnerError>>;

    /// SIGTERM, then SIGKILL after `grace`; resolves when nothing of the instance is left. An unknown instance
    /// is not an error: it is gone, as asked.
    fn stop(&self, id: &str, grace: Duration) -> BoxFuture<'_, Result<(), RunnerError>>;

    /// What runs now, by the backend's own knowledge.
    fn list(&self) -> BoxFuture<'_, Result<Vec<InstanceInfo>, RunnerError>>;

    /// Runs a compiler in a sandbox without network, to its end.
    fn compile(&self, spec: CompileSpec) -> BoxFuture<'_, Result<CompileOutcome, RunnerError>>;

    /// Runs an image's interpreter over somebody's sources, in a sandbox without network, to its end.
    fn precompile(&self, spec: PrecompileSpec) -> BoxFuture<'_, Result<CompileOutcome, RunnerError>>;

    /// A new subscription to the ends of instances. Ends before the subscription are not in it.
    fn exits(&self) -> UnboundedReceiver<Exited>;
}
