//! What the gateway asks of whoever runs instances, and what it knows of a revision. It knows no runner.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

/// A boxed future, as the trait [`Instances`] returns them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What instances of a revision are to whoever sends them requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A function: a shim answers, which knows the function's timeout and the probe.
    Function,
    /// A container: anything that speaks HTTP. The gateway's timeout is the only one, a probe is answered by the
    /// gateway once it has a connection, and connections are kept for a short time, since many servers close idle
    /// ones after five seconds.
    Container,
}

/// One immutable deployed version of a function, or of a container, which is one here but for `program`; as far as the gateway needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Id of the revision, unique on the server.
    pub id: String,
    /// What answers.
    pub program: Program,
    /// Id of the function it belongs to, the `<id>` of `/f/<id>`.
    pub function_id: String,
    /// 1, 2, ... per function.
    pub version: u64,
    /// `sha256:<64 hex>` of the image's manifest.
    pub image_digest: String,
    /// Whether callers need no token (the shim checks it; told in the snapshot).
    pub public: bool,
    /// One invocation's limit, from its slot to its answer.
    pub timeout: Duration,
    /// Memory limit in MB, named when an instance ran out of it.
    pub memory_mb: u32,
    /// Instances that are kept although idle.
    pub min_scale: u32,
    /// Most instances.
    pub max_scale: u32,
    /// Requests at once in one instance, where the user chose it; else the instance's ready line says.
    pub max_concurrency: Option<u32>,
}

/// Makes and ends instances. One instance has one name, made by the gateway and never used again.
pub trait Instances: Send + Sync + 'static {
    /// Starts an instance; resolves when its ready line said `ready: true`, else with the cause. The future is
    /// dropped when the start is given up ([`crate::GatewayConfig::start_limit`], for containers
    /// [`crate::GatewayConfig::container_start_limit`]).
    fn start(
        &self,
        revision: Arc<Revision>,
        instance: String,
    ) -> BoxFuture<'static, Result<StartedInstance, StartFailure>>;

    /// Ends an instance (SIGTERM, grace, SIGKILL) and resolves when nothing of it is left. Called for every
    /// instance that was asked to start: also when its start failed, is still going on (and then once more when
    /// it is over), or when it has exited by itself. Has to bear all of these, and being called twice.
    fn stop(&self, instance: String, why: StopReason) -> BoxFuture<'static, ()>;

    /// The instance has given its first answer: what was put off for a quick start may happen now (the CPU
    /// limit). Called once per instance; must not block.
    fn first_answer(&self, instance: &str);

    /// A request was given up: the instance did not answer within the revision's limit. Must not block.
    fn timed_out(&self, instance: &str, request_id: &str) {
        let _ = (instance, request_id);
    }

    /// Whether a process of the instance was killed for want of memory since this was last asked. Asked when the
    /// instance lives and says that it lost its worker.
    fn out_of_memory(&self, instance: String) -> BoxFuture<'static, bool> {
        drop(instance);
        Box::pin(std::future::ready(false))
    }
}

/// Where an instance takes HTTP/1.1.
#[derive(Clone)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port in a network that this process is not in.
    Dial(Arc<dyn Dial>),
}

/// Makes connections to one instance.
pub trait Dial: Send + Sync {
    /// A new connection. [`std::io::ErrorKind::ConnectionRefused`] says that nobody listens there.
    fn dial(&self) -> BoxFuture<'static, std::io::Result<TcpStream>>;
}

/// An instance that is ready.
#[derive(Clone)]
pub struct StartedInstance {
    /// How it is reached.
    pub address: Address,
    /// Requests at once that it bears, from its ready line; 0 when it did not say.
    pub max_concurrency: u32,
    /// How long the parts of the start took, in order; told in `Server-Timing`.
    pub phases: Vec<Phase>,
}

/// One part of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// An HTTP token: `unpack`, `create`, `import`.
    pub name: &'static str,
    /// How long it took.
    pub duration: Duration,
}

/// Why an instance did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartFailure {
    /// The real cause, for the function's owner (`error_message`, logs). Callers of the function never see it.
    pub message: String,
    /// The class of the cause, which callers see.
    pub kind: StartFailureKind,
}

/// Why an instance is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Nobody called it.
    Idle,
    /// Another revision serves.
    Replaced,
    /// Its revision was prepared and is not wanted.
    Discarded,
    /// The function is deleted, or the server ends.
    Closed,
    /// It has ended by itself, takes no connection, or never was ready.
    Ended,
}

/// Class of a failed start: whose fault, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFailureKind {
    /// The function's code: its import failed, or it exited before it was ready.
    Function,
    /// It was not ready within the limit.
    TimedOut,
    /// It ran out of its memory.
    OutOfMemory,
    /// The machine has no room.
    MachineFull,
    /// The platform could not make the instance.
    Platform,
    /// The revision was discarded, its function deleted or the server shut down meanwhile.
    Abandoned,
}
