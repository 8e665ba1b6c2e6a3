//! One function at work: the owner of its [`State`]. Takes events in under one short lock, never held across an
//! await, and does outside of it what the state says.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle as Runtime;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::Instant;

use crate::core::{
    Action, Event, InstanceId, Outcome, Refusal, State, Time, WaiterId, WaiterKind, abandoned,
};
use crate::hold::Slot;
use crate::instance::Instance;
use crate::usage::{Counters, Ledger};
use crate::{GatewayConfig, Instances, Program, Revision, StartFailure, StartFailureKind, StopReason};

/// What all functions of a gateway share.
pub(crate) struct Shared {
    pub(crate) config: Arc<GatewayConfig>,
    pub(crate) instances: Arc<dyn Instances>,
    pub(crate) runtime: Runtime,
    pub(crate) started: Instant,
    /// Starts in flight on the machine; first come, first served.
    pub(crate) starts: Semaphore,
    /// Requests that wait on the machine.
    pub(crate) waiting: AtomicUsize,
    /// Instances by name, for whoever reports their exits.
    pub(crate) by_name: Mutex<HashMap<String, (Arc<Function>, InstanceId)>>,
    /// What functions used.
    pub(crate) ledger: Ledger,
}

/// One function.
pub(crate) struct Function {
    pub(crate) id: String,
    pub(crate) shared: Arc<Shared>,
    /// What it used.
    pub(crate) used: Arc<Counters>,
    inner: Mutex<Inner>,
    /// The clock has to look again.
    sooner: Notify,
    /// The function is closed and nothing of it is left.
    gone: Notify,
}

pub(crate) struct Inner {
    pub(crate) state: State,
    /// Nonce of the deploy whose probe is let through.
    pub(crate) probe: Option<String>,
    waiters_seen: u64,
    waiters: HashMap<WaiterId, oneshot::Sender<Result<Slot, Refusal>>>,
    preparing: HashMap<String, Vec<oneshot::Sender<Result<(), StartFailure>>>>,
    pub(crate) instances: HashMap<InstanceId, Arc<Instance>>,
    /// Whether the clock's task runs.
    has_clock: bool,
    /// When the clock is set to look next.
    armed: Option<Time>,
}

/// What is done when the lock is free again: everything here may call back.
enum Effect {
    Grant(oneshot::Sender<Result<Slot, Refusal>>, Slot),
    Refuse(oneshot::Sender<Result<Slot, Refusal>>, Refusal),
    Prepared(Vec<oneshot::Sender<Result<(), StartFailure>>>, Result<(), StartFailure>),
    Start(Arc<Instance>),
    Stop(Arc<Instance>, StopReason),
}

impl Function {
    pub(crate) fn new(id: &str, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            shared: Arc::clone(shared),
            used: shared.ledger.open(id),
            inner: Mutex::new(Inner {
                state: State::new(Arc::clone(&shared.config)),
                probe: None,
                waiters_seen: 0,
                waiters: HashMap::new(),
                preparing: HashMap::new(),
                instances: HashMap::new(),
                has_clock: false,
                armed: None,
            }),
            sooner: Notify::new(),
            gone: Notify::new(),
        })
    }

    /// Only for reading and for what has no effects: events go through [`Function::drive`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the live revision is; `None` without one.
    pub(crate) fn program(&self) -> Option<Program> {
        self.lock().state.live().map(|revision| revision.program)
    }

    /// One event, and everything that follows from it.
    pub(crate) fn drive(self: &Arc<Self>, event: Event) {
        let inner = self.lock();
        self.drive_locked(inner, event);
    }

    /// A request wants a slot; the verdict comes over the channel, exactly once.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        kind: WaiterKind,
    ) -> (WaiterId, oneshot::Receiver<Result<Slot, Refusal>>) {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        inner.waiters_seen += 1;
        let waiter = WaiterId(inner.waiters_seen);
        inner.waiters.insert(waiter, sender);
        self.drive_locked(inner, Event::Arrive { waiter, kind });
        (waiter, receiver)
    }

    /// Its caller has gone, or has its verdict.
    pub(crate) fn leave(self: &Arc<Self>, waiter: WaiterId) {
        let mut inner = self.lock();
        let sender = inner.waiters.remove(&waiter);
        self.drive_locked(inner, Event::Leave { waiter });
        drop(sender);
    }

    /// Has an instance of the revision started; see [`Event::Prepare`].
    pub(crate) async fn prepare(self: &Arc<Self>, revision: Arc<Revision>) -> Result<(), StartFailure> {
        self.ask_to_prepare(revision).await.unwrap_or_else(|_| Err(abandoned()))
    }

    fn ask_to_prepare(
        self: &Arc<Self>,
        revision: Arc<Revision>,
    ) -> oneshot::Receiver<Result<(), StartFailure>> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        inner.preparing.entry(revision.id.clone()).or_default().push(sender);
        self.drive_locked(inner, Event::Prepare { revision });
        receiver
    }

    /// Closes the function and resolves when nothing of it is left.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.drive(Event::Close);
        let mut gone = pin!(self.gone.notified());
        // From here on it is heard; who looks afterwards misses nothing.
        gone.as_mut().enable();
        if !self.lock().state.is_gone() {
            gone.await;
        }
    }

    fn drive_locked(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, event: Event) {
        let now = self.shared.started.elapsed();
        let stopped = match &event {
            Event::Stopped { instance } => Some(*instance),
            _ => None,
        };
        let actions = inner.state.step(now, event);
        let effects: Vec<_> = actions.into_iter().filter_map(|action| inner.effect(self, action)).collect();
        let forgotten = stopped.and_then(|id| inner.forget(id));
        let wake = inner.state.next_wake(now);
        let starts_clock = wake.is_some() && !inner.has_clock;
        inner.has_clock |= starts_clock;
        let sooner = wake.is_some_and(|wake| inner.armed.is_none_or(|armed| wake < armed));
        let gone = inner.state.is_gone();
        drop(inner);
        if let Some(instance) = forgotten {
            self.names().remove(&instance.name);
        }
        for effect in effects {
            self.run(effect);
        }
        if starts_clock {
            self.shared.runtime.spawn(Arc::clone(self).keep_time());
        } else if sooner {
            self.sooner.notify_one();
        }
        if gone {
            self.gone.notify_waiters();
        }
    }

    fn run(self: &Arc<Self>, effect: Effect) {
        match effect {
            // A receiver that is gone hands the slot back here, and dropping it returns it.
            Effect::Grant(waiter, slot) => drop(waiter.send(Ok(slot))),
            Effect::Refuse(waiter, refusal) => drop(waiter.send(Err(refusal))),
            Effect::Prepared(waiters, result) => {
                waiters.into_iter().for_each(|waiter| drop(waiter.send(result.clone())));
            }
            Effect::Start(instance) => {
                self.names().insert(instance.name.clone(), (Arc::clone(self), instance.id));
                self.shared.runtime.spawn(start(Arc::clone(self), instance));
            }
            Effect::Stop(instance, why) => {
                self.shared.runtime.spawn(stop(Arc::clone(self), instance, why));
            }
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, (Arc<Function>, InstanceId)>> {
        self.shared.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The function's clock: looks when time alone changes something, and ends when it changes nothing: of ten
    /// thousand functions few have one.
    async fn keep_time(self: Arc<Self>) {
        while let Some(wake) = self.arm() {
            // Both branches only wait; either may be dropped.
            tokio::select! {
                () = tokio::time::sleep_until(self.shared.started + wake) => self.drive(Event::Tick),
                () = self.sooner.notified() => {}
            }
        }
    }

    /// When the clock has to look next; `None` ends it.
    fn arm(&self) -> Option<Time> {
        let mut inner = self.lock();
        inner.armed = inner.state.next_wake(self.shared.started.elapsed());
        inner.has_clock = inner.armed.is_some();
        inner.armed
    }
}

impl Inner {
    fn effect(&mut self, function: &Arc<Function>, action: Action) -> Option<Effect> {
        match action {
            Action::Start { instance, revision } => {
                let keep_alive = function.shared.config.keep_alive_of(revision.program);
                let instance = Arc::new(Instance::new(instance, revision, keep_alive));
                self.instances.insert(instance.id, Arc::clone(&instance));
                Some(Effect::Start(instance))
            }
            Action::Stop { instance, why } => {
                self.instances.get(&instance).cloned().map(|instance| Effect::Stop(instance, why))
            }
            Action::Grant { waiter, instance, kind, cold } => {
                let sender = self.waiters.remove(&waiter)?;
                let instance = Arc::clone(self.instances.get(&instance)?);
                Some(Effect::Grant(sender, Slot::new(Arc::clone(function), instance, kind, cold)))
            }
            Action::Refuse { waiter, refusal } => {
                Some(Effect::Refuse(self.waiters.remove(&waiter)?, refusal))
            }
            Action::Prepared { revision_id, result } => {
                Some(Effect::Prepared(self.preparing.remove(&revision_id)?, result))
            }
        }
    }

    fn forget(&mut self, id: InstanceId) -> Option<Arc<Instance>> {
        let left = self.state.instances().iter().any(|instance| instance.id == id);
        if left { None } else { self.instances.remove(&id) }
    }
}

async fn start(function: Arc<Function>, instance: Arc<Instance>) {
    let event = match start_in_time(&function.shared, &instance).await {
        Ok(started) => {
            let max_concurrency = started.max_concurrency;
            instance.ready(started);
            tracing::info!(
                application.id = %function.id, instance.id = %instance.name, max_concurrency, "instance is ready"
            );
            Event::Started { instance: instance.id, max_concurrency }
        }
        Err(failure) => {
            tracing::warn!(
                application.id = %function.id, instance.id = %instance.name, kind = ?failure.kind,
                cause = %failure.message, "instance did not start"
            );
            Event::StartFailed { instance: instance.id, failure }
        }
    };
    function.drive(event);
}

/// The start in a task of its own, so that one that panics is a failure like any other.
async fn start_in_time(shared: &Shared, instance: &Instance) -> Result<crate::StartedInstance, StartFailure> {
    let failure = |kind, message: String| StartFailure { message, kind };
    let _permit = shared.starts.acquire().await;
    let start = shared.instances.start(Arc::clone(&instance.revision), instance.name.clone());
    let mut task = tokio::spawn(start);
    let limit = shared.config.start_limit_of(instance.revision.program);
    match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(failure(StartFailureKind::Platform, format!("the start broke off: {panic}"))),
        Err(_) => {
            task.abort();
            Err(failure(
                StartFailureKind::TimedOut,
                format!("the instance was not ready within {} s", limit.as_secs_f64()),
            ))
        }
    }
}

async fn stop(function: Arc<Function>, instance: Arc<Instance>, why: StopReason) {
    tracing::info!(application.id = %function.id, instance.id = %instance.name, ?why, "instance is stopped");
    let stop = tokio::spawn(function.shared.instances.stop(instance.name.clone(), why));
    if let Err(panic) = stop.await {
        tracing::error!(instance.id = %instance.name, %panic, "the stop broke off");
    }
    function.drive(Event::Stopped { instance: instance.id });
}

/// Returns a slot; called by its drop alone.
pub(crate) fn release(function: &Arc<Function>, instance: InstanceId, kind: WaiterKind, outcome: Outcome) {
    function.drive(Event::Released { instance, kind, outcome });
}
