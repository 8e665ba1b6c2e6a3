//! How deploys, deletes and the server's end steer the gateway.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::core::Event;
use crate::function::Function;
use crate::instance::Exit;
use crate::route::{Route, RouteState};
use crate::snapshot::{FunctionSnapshot, Snapshot};
use crate::{Gateway, Revision, StartFailure};

/// A switch to a revision that was neither prepared nor restored, or was discarded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("revision {0} was not prepared")]
pub struct NotPrepared(
    /// Id of the revision.
    pub String,
);

impl Gateway {
    /// Makes the function known, and says what its callers get while no revision of it is live.
    pub fn set_route(&self, function_id: &str, state: RouteState) {
        self.change(function_id, |route| route.state = state);
    }

    /// Makes a revision live without starting anything: after the server's restart. Another that is live drains.
    pub fn restore(&self, revision: Arc<Revision>) {
        self.function(&revision.function_id).drive(Event::Restore { revision });
    }

    /// Changes `min_scale`, `max_scale` and what else a revision carries. Without effect for one that is neither
    /// live nor prepared: it never changes which one is live.
    pub fn rescale(&self, revision: Arc<Revision>) {
        if let Some(route) = self.table.get(&revision.function_id) {
            route.function.drive(Event::Rescale { revision });
        }
    }

    /// Starts an instance of a revision beside the live one and keeps it until [`Gateway::switch`] or
    /// [`Gateway::discard`]. One that is ready already is enough. May be dropped half-way: the start goes on.
    ///
    /// # Errors
    /// Why it did not start; then nothing is left of it. [`crate::StartFailureKind::Abandoned`] when it was
    /// discarded or its function deleted meanwhile.
    pub async fn prepare(&self, revision: Arc<Revision>) -> Result<(), StartFailure> {
        let function = self.function(&revision.function_id);
        function.prepare(revision).await
    }

    /// From now on every request goes to this revision, also those that wait; the old one finishes what it has,
    /// up to its timeout, and is stopped.
    ///
    /// # Errors
    /// [`NotPrepared`]; then nothing has changed.
    pub fn switch(&self, revision_id: &str) -> Result<(), NotPrepared> {
        let function = self.knowing(revision_id).ok_or_else(|| NotPrepared(revision_id.to_owned()))?;
        function.drive(Event::Switch { revision_id: revision_id.to_owned() });
        // Between the two somebody may have discarded it.
        let live = function.lock().state.live().is_some_and(|live| live.id == revision_id);
        if live { Ok(()) } else { Err(NotPrepared(revision_id.to_owned())) }
    }

    /// Stops what was prepared of a revision. Without effect when it is live or unknown.
    pub fn discard(&self, revision_id: &str) {
        if let Some(function) = self.knowing(revision_id) {
            function.drive(Event::Discard { revision_id: revision_id.to_owned() });
        }
    }

    /// Lets the probe with this nonce through to the function's instance; the newest deploy's alone.
    pub fn expect_probe(&self, function_id: &str, nonce: &str) {
        self.function(function_id).lock().probe = Some(nonce.to_owned());
    }

    /// The probe with this nonce is over. Without effect when a newer one is expected.
    pub fn forget_probe(&self, function_id: &str, nonce: &str) {
        if let Some(route) = self.table.get(function_id) {
            route.function.lock().probe.take_if(|expected| expected == nonce);
        }
    }

    /// An instance has ended, by itself or because it was stopped. The cause is for the log.
    pub fn instance_exited(&self, instance: &str, cause: &str, out_of_memory: bool) {
        let named = self.shared.by_name.lock().unwrap_or_else(PoisonError::into_inner).get(instance).cloned();
        let Some((function, id)) = named else { return };
        tracing::info!(application.id = %function.id, instance.id = %instance, cause, out_of_memory, "instance exited");
        let handle = function.lock().instances.get(&id).cloned();
        if let Some(handle) = handle {
            handle.exited(Exit { cause: cause.to_owned(), out_of_memory });
        }
        function.drive(Event::Exited { instance: id });
    }

    /// The function is deleted: 404 from the first poll of this future on. Resolves when nothing of it is left:
    /// what runs has [`crate::GatewayConfig::close_limit`] to finish.
    pub async fn remove(&self, function_id: &str) {
        let removed = {
            let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            self.table.change(function_id, |part| part.remove(function_id))
        };
        if let Some(route) = removed {
            route.function.close().await;
        }
    }

    /// Ends everything: new and waiting requests get 503, what runs may finish within
    /// [`crate::GatewayConfig::close_limit`]. Resolves when all instances are stopped.
    ///
    /// # Errors
    /// What is left when that took longer than `deadline`.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Snapshot> {
        let routes = self.table.all();
        let closing = join_all(routes.iter().map(|route| route.function.close()));
        match tokio::time::timeout(deadline, closing).await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.snapshot()),
        }
    }

    /// What is going on.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut functions: Vec<_> =
            self.table.all().iter().map(|route| FunctionSnapshot::of(&route.function)).collect();
        functions.sort_by(|one, other| one.id.cmp(&other.id));
        Snapshot { functions }
    }

    /// The function, made known when it was not.
    fn function(&self, function_id: &str) -> Arc<Function> {
        match self.table.get(function_id) {
            Some(route) => route.function,
            None => self.change(function_id, |route| Arc::clone(&route.function)),
        }
    }

    fn change<T>(&self, function_id: &str, change: impl FnOnce(&mut Route) -> T) -> T {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.table.change(function_id, |part| {
            let route = part.entry(function_id.to_owned()).or_insert_with(|| Route {
                state: RouteState::NeverDeployed,
                function: Function::new(function_id, &self.shared),
            });
            change(route)
        })
    }

    /// Deploys are rare enough to look at every function.
    fn knowing(&self, revision_id: &str) -> Option<Arc<Function>> {
        let knows = |route: &Route| route.function.lock().state.knows(revision_id);
        self.table.all().into_iter().find(knows).map(|route| route.function)
    }
}
