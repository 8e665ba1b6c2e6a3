//! Instances of revisions on this machine: what the gateway asks for, done with the runner, the registry and the
//! store. [`start`] is the flow of one start.
//!
//! The listening socket and all pipes are made here, by the unprivileged server; the runner passes them on. The
//! environment travels in memory, over a descriptor, and is in no file and no image. A container's image knows nothing
//! of ours ([`foreign`]): it listens on a port of its own network, into which the runner gives us sockets.

mod environment;
mod events;
mod foreign;
mod image;
mod layers;
mod logs;
mod start;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::limits::cpu_of_memory;
use gateway::{BoxFuture, Instances, Revision, StartFailure, StartFailureKind, StartedInstance, StopReason};
use runner::{Backend, Exited};
use tokio::sync::oneshot;

use crate::{logs::Logs, store::Store};

/// What a stopped instance has to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Starts and stops instances. Cheap to clone.
#[derive(Clone)]
pub struct LocalInstances(Arc<Inner>);

struct Inner {
    store: Store,
    registry: registry::store::Disk,
    backend: Arc<dyn Backend>,
    logs: Logs,
    run: PathBuf,
    known: Mutex<Known>,
    /// Held by whoever removes a layer, and for a moment by whoever begins to hold some.
    removing: tokio::sync::RwLock<()>,
}

#[derive(Default)]
struct Known {
    /// Starts that wait for their ready line: told when the instance ends before it.
    starting: HashMap<String, oneshot::Sender<Exited>>,
    /// CPU that an instance gets after its first answer, in thousandths of a core.
    cpu: HashMap<String, u32>,
    /// Kills for want of memory that were told already, by instance.
    oom_kills: HashMap<String, u64>,
    /// Instances from their start until nothing of them is left.
    running: HashMap<String, events::Running>,
    /// Diff ids of what is about to start, each with how many starts it is.
    held: HashMap<String, usize>,
    /// Diff ids that the runner has unpacked.
    unpacked: HashSet<String>,
}

impl LocalInstances {
    /// `run` is where sockets are made: `run/` of the server's directory.
    #[must_use]
    pub fn new(
        store: Store,
        registry: registry::store::Disk,
        backend: Arc<dyn Backend>,
        logs: Logs,
        run: PathBuf,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            registry,
            backend,
            logs,
            run,
            known: Mutex::default(),
            removing: Default::default(),
        }))
    }

    /// Unpacks the layers of an image that the registry has. What is unpacked already costs nothing.
    ///
    /// # Errors
    /// [`StartFailure`] with the cause.
    pub async fn unpack(&self, repository: &str, digest: &str) -> Result<(), StartFailure> {
        let found = image::find(&self.0, repository, digest).await?;
        let _held = self.0.hold(found.diff_ids()).await;
        image::unpack(&self.0, &found).await
    }

    /// An instance has ended: whoever waits for its ready line is told.
    pub fn exited(&self, exited: &Exited) {
        let waiting = {
            let mut known = self.0.known();
            known.cpu.remove(&exited.instance);
            known.oom_kills.remove(&exited.instance);
            known.starting.remove(&exited.instance)
        };
        match waiting {
            // The start may have been given up; it tells its end itself.
            Some(waiting) => drop(waiting.send(exited.clone())),
            None => self.0.ended(exited),
        }
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its start is over: it gets its share of the CPU, in the background. Without effect when it has it.
    fn limit_cpu(&self, instance: &str) {
        let Some(millicores) = self.known().cpu.remove(instance) else { return };
        let (backend, instance) = (Arc::clone(&self.backend), instance.to_owned());
        tokio::spawn(async move {
            if let Err(error) = backend.limit_cpu(&instance, millicores).await {
                tracing::warn!(instance.id = %instance, %error, "the CPU limit could not be written");
            }
        });
    }

    fn socket(&self, instance: &str) -> PathBuf {
        self.run.join(format!("{instance}.sock"))
    }
}

impl Instances for LocalInstances {
    fn start(
        &self,
        revision: Arc<Revision>,
        instance: String,
    ) -> BoxFuture<'static, Result<StartedInstance, StartFailure>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let watch = events::Start::begin(&inner, &revision, &instance);
            let started = start::start(&inner, &revision, &instance).await;
            watch.end(&started);
            started
        })
    }

    fn stop(&self, instance: String, why: StopReason) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            inner.stops(&instance, why);
            // One that is not ready has nothing to finish, and may not yet listen to SIGTERM.
            let starting = inner.known().starting.contains_key(&instance);
            let grace = if starting { Duration::ZERO } else { GRACE };
            if let Err(error) = inner.backend.stop(&instance, grace).await {
                tracing::warn!(instance.id = %instance, %error, "an instance could not be stopped");
            }
            inner.known().starting.remove(&instance);
            // It never had one when its start failed early.
            let _ = tokio::fs::remove_file(inner.socket(&instance)).await;
            inner.stopped(&instance, why);
        })
    }

    fn out_of_memory(&self, instance: String) -> BoxFuture<'static, bool> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let running = inner.backend.list().await.unwrap_or_default();
            let Some(info) = running.into_iter().find(|info| info.id == instance) else { return false };
            let told = inner.known().oom_kills.insert(instance, info.oom_kills).unwrap_or(0);
            let is_news = info.oom_kills > told;
            if is_news {
                inner.lost_a_process(&info.id);
            }
            is_news
        })
    }

    fn timed_out(&self, instance: &str, request_id: &str) {
        let text = "a request was given up: the instance did not answer it in time";
        self.0.tell_of_request(instance, Some(request_id), text);
    }

    fn first_answer(&self, instance: &str) {
        self.0.limit_cpu(instance);
    }
}

/// Thousandths of a core for a memory limit; the API lets no other limits in than those of the table.
fn millicores(memory_mb: u32) -> u32 {
    cpu_of_memory(memory_mb).unwrap_or(memory_mb * 560 / 1024)
}

fn platform(message: impl std::fmt::Display) -> StartFailure {
    StartFailure { message: message.to_string(), kind: StartFailureKind::Platform }
}
