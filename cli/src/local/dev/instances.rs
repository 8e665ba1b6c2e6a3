//! Instances for the gateway: processes of this user.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use futures_util::future::join_all;
use gateway::{
    Address, BoxFuture, Gateway, Instances, Revision, StartFailure, StartFailureKind, StartedInstance,
    StopReason,
};
use rustix::process::Signal;
use tokio::task::JoinHandle;

use super::keeper::STOP;
use super::report::Reporter;
use crate::local::instance::{self, read_ready};
use crate::local::logs::{Line, follow};
use crate::local::plan::Plan;
use crate::local::process::{Process, words};

/// Starts and ends them; cheap to clone.
#[derive(Clone)]
pub(super) struct Local(Arc<Inner>);

struct Inner {
    room: PathBuf,
    reporter: Arc<Reporter>,
    gateway: OnceLock<Weak<Gateway>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What each revision is started from.
    plans: HashMap<String, Arc<Plan>>,
    running: HashMap<String, Arc<Process>>,
    made: u64,
}

impl Local {
    pub(super) fn new(room: PathBuf, reporter: Arc<Reporter>) -> Self {
        Self(Arc::new(Inner { room, reporter, gateway: OnceLock::new(), known: Mutex::default() }))
    }

    pub(super) fn report_exits_to(&self, gateway: &Arc<Gateway>) {
        // Told once.
        let _ = self.0.gateway.set(Arc::downgrade(gateway));
    }

    /// A revision that is about to be prepared.
    pub(super) fn expect(&self, revision: &Revision, plan: Plan) {
        self.known().plans.insert(revision.id.clone(), Arc::new(plan));
    }

    /// A revision is live: nothing older of its function will be started again.
    pub(super) fn only(&self, revision: &Revision) {
        let prefix = format!("{}-", revision.function_id);
        let number = |id: &str| id.strip_prefix(&prefix).and_then(|version| version.parse::<u64>().ok());
        let older = |id: &str| number(id).is_some_and(|version| version < revision.version);
        self.known().plans.retain(|id, _| !older(id));
    }

    /// Kills whatever runs, and resolves when it has ended.
    pub(super) async fn kill_all(&self) {
        let running: Vec<_> = self.known().running.drain().map(|(_, process)| process).collect();
        running.iter().for_each(|process| process.signal(Signal::KILL));
        join_all(running.iter().map(|process| process.ended())).await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self, revision: Arc<Revision>, name: String) -> Result<StartedInstance, StartFailure> {
        let failure = |kind, message: String| StartFailure { message, kind };
        let (plan, socket) = {
            let mut known = self.known();
            known.made += 1;
            let plan = known.plans.get(&revision.id).cloned();
            (plan, self.0.room.join(format!("{}.sock", known.made)))
        };
        let plan =
            plan.ok_or_else(|| failure(StartFailureKind::Abandoned, "it is not wanted any more".into()))?;
        let started = instance::start(&plan, socket).map_err(|error| {
            failure(StartFailureKind::Platform, format!("the shim can't be started: {error}"))
        })?;
        let process = Arc::new(started.process);
        self.known().running.insert(name.clone(), process.clone());
        let heard = self.listen(&revision, started.log);
        let ready = read_ready(started.ready).await;
        match ready {
            Some(line) if line.ready => {
                heard.is_ready.store(true, std::sync::atomic::Ordering::Relaxed);
                tokio::spawn(self.clone().watch(name, process));
                let max_concurrency = line.max_concurrency;
                let address = Address::Unix(started.socket);
                Ok(StartedInstance { address, max_concurrency, phases: Vec::new() })
            }
            Some(line) => {
                let message = line.error.unwrap_or_else(|| "the handler could not be loaded".to_owned());
                Err(failure(StartFailureKind::Function, message))
            }
            None => {
                let status = process.ended().await;
                let said = heard.words().await;
                let message = if said.is_empty() { words(status) } else { said };
                Err(failure(StartFailureKind::Function, message))
            }
        }
    }

    fn listen(&self, revision: &Revision, log: tokio::net::unix::pipe::Receiver) -> Heard {
        let (raw, is_ready) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let (sink, ready) = (raw.clone(), is_ready.clone());
        let (reporter, function) = (self.0.reporter.clone(), revision.function_id.clone());
        let reading = tokio::spawn(follow(log, move |line| match line {
            Line::Raw(text) => sink.lock().unwrap_or_else(PoisonError::into_inner).push(text),
            // Why a handler was not loaded is told by the ready line, in the same words.
            Line::Record(record) => {
                let is_ready = ready.load(std::sync::atomic::Ordering::Relaxed);
                if is_ready || record.stream != contract::instance::LogStream::Platform {
                    reporter.line(&function, record);
                }
            }
        }));
        Heard { raw, is_ready, reading }
    }

    async fn watch(self, name: String, process: Arc<Process>) {
        let status = process.ended().await;
        if let Some(gateway) = self.0.gateway.get().and_then(Weak::upgrade) {
            gateway.instance_exited(&name, &words(status), false);
        }
    }
}

/// What a starting shim says.
struct Heard {
    raw: Arc<Mutex<Vec<String>>>,
    is_ready: Arc<std::sync::atomic::AtomicBool>,
    reading: JoinHandle<()>,
}

impl Heard {
    /// Its last words; to be asked when it has ended.
    async fn words(self) -> String {
        let _ = self.reading.await;
        self.raw.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

impl Instances for Local {
    fn start(
        &self,
        revision: Arc<Revision>,
        instance: String,
    ) -> BoxFuture<'static, Result<StartedInstance, StartFailure>> {
        Box::pin(self.clone().run(revision, instance))
    }

    fn stop(&self, instance: String, _: StopReason) -> BoxFuture<'static, ()> {
        let process = self.known().running.get(&instance).cloned();
        let local = self.clone();
        Box::pin(async move {
            if let Some(process) = process {
                process.stop(STOP).await;
                local.known().running.remove(&instance);
            }
        })
    }

    fn first_answer(&self, _instance: &str) {}
}
