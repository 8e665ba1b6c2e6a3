//! Starts of instances, counted between the gateway and whoever makes them.

use std::{sync::Arc, time::Instant};

use gateway::{BoxFuture, Instances, Revision, StartFailure, StartFailureKind, StartedInstance, StopReason};

use super::{Metrics, StartOutcome};

/// Instances whose starts are counted.
pub(crate) struct Counted<I> {
    instances: I,
    metrics: Arc<Metrics>,
}

impl<I> Counted<I> {
    pub(crate) fn new(instances: I, metrics: Arc<Metrics>) -> Self {
        Self { instances, metrics }
    }
}

impl<I: Instances> Instances for Counted<I> {
    fn start(
        &self,
        revision: Arc<Revision>,
        instance: String,
    ) -> BoxFuture<'static, Result<StartedInstance, StartFailure>> {
        let (start, metrics) = (self.instances.start(revision, instance), Arc::clone(&self.metrics));
        Box::pin(async move {
            // Dropped when the gateway gives it up.
            let mut counted = Start { metrics, since: Instant::now(), outcome: StartOutcome::Abandoned };
            let started = start.await;
            counted.outcome = match &started {
                Ok(_) => StartOutcome::Ready,
                Err(failure) if failure.kind == StartFailureKind::Abandoned => StartOutcome::Abandoned,
                Err(_) => StartOutcome::Failed,
            };
            started
        })
    }

    fn stop(&self, instance: String, reason: StopReason) -> BoxFuture<'static, ()> {
        self.instances.stop(instance, reason)
    }

    fn first_answer(&self, instance: &str) {
        self.instances.first_answer(instance);
    }

    fn timed_out(&self, instance: &str, request_id: &str) {
        self.instances.timed_out(instance, request_id);
    }

    fn out_of_memory(&self, instance: String) -> BoxFuture<'static, bool> {
        self.instances.out_of_memory(instance)
    }
}

struct Start {
    metrics: Arc<Metrics>,
    since: Instant,
    outcome: StartOutcome,
}

impl Drop for Start {
    fn drop(&mut self) {
        self.metrics.started(self.outcome, self.since.elapsed());
    }
}
