//! What the owner of an application is told about its instances, in its log.

use std::time::{Duration, Instant};

use gateway::{Revision, StartFailure, StartedInstance, StopReason};
use runner::Exited;

use super::Inner;
use crate::logs::About;

/// An instance that was asked to start and is not gone.
pub(super) struct Running {
    pub(super) application_id: String,
    memory_mb: u32,
    /// Whether it was asked to stop: then its end is no news.
    stopping: bool,
}

/// A start that goes on; dropped before its end, it was given up.
pub(super) struct Start<'a> {
    inner: &'a Inner,
    instance: &'a str,
    begun: Instant,
    is_over: bool,
}

impl<'a> Start<'a> {
    pub(super) fn begin(inner: &'a Inner, revision: &Revision, instance: &'a str) -> Self {
        let running = Running {
            application_id: revision.function_id.clone(),
            memory_mb: revision.memory_mb,
            stopping: false,
        };
        inner.known().running.insert(instance.to_owned(), running);
        Self { inner, instance, begun: Instant::now(), is_over: false }
    }

    pub(super) fn end(mut self, started: &Result<StartedInstance, StartFailure>) {
        self.is_over = true;
        let text = match started {
            Ok(started) => {
                let phases = started.phases.iter();
                let phases: Vec<_> =
                    phases.map(|phase| format!("{} {}", phase.name, phase.duration.as_millis())).collect();
                let took = self.begun.elapsed().as_millis();
                format!("cold start: an instance was ready in {took} ms ({})", phases.join(", "))
            }
            Err(failure) => format!("an instance did not start: {}", failure.message),
        };
        self.inner.tell(self.instance, &text);
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let took = self.begun.elapsed();
            self.inner.tell(self.instance, &format!("a start was given up after {}", seconds(took)));
        }
    }
}

impl Inner {
    /// A line about an instance that is not gone.
    pub(super) fn tell(&self, instance: &str, text: &str) {
        self.tell_of_request(instance, None, text);
    }

    pub(super) fn tell_of_request(&self, instance: &str, request: Option<&str>, text: &str) {
        let application = self.known().running.get(instance).map(|one| one.application_id.clone());
        if let Some(application) = application {
            self.logs.event(&application, About { instance: Some(instance), request }, text);
        }
    }

    /// It is about to be stopped.
    pub(super) fn stops(&self, instance: &str, why: StopReason) {
        if let Some(running) = self.known().running.get_mut(instance) {
            running.stopping |= why != StopReason::Ended;
        }
    }

    /// It was stopped, and nothing of it is left; only the first call tells it.
    pub(super) fn stopped(&self, instance: &str, why: StopReason) {
        let why = match why {
            StopReason::Idle => Some("nobody called it"),
            StopReason::Replaced => Some("another version serves"),
            StopReason::Discarded => Some("its version did not go live"),
            StopReason::Closed => Some("its application is deleted, or the server ends"),
            // That it ended was told.
            StopReason::Ended => None,
        };
        if let Some(why) = why {
            self.tell(instance, &format!("the instance was stopped: {why}"));
        }
        self.known().running.remove(instance);
    }

    /// It has ended, and nobody asked for that.
    pub(super) fn ended(&self, exited: &Exited) {
        let memory_mb = match self.known().running.get(&exited.instance) {
            Some(Running { stopping: false, memory_mb, .. }) => *memory_mb,
            _ => return,
        };
        let text = match exited {
            Exited { out_of_memory: true, .. } => {
                format!("the instance was killed: it ran out of its {memory_mb} MB of memory")
            }
            Exited { code: Some(code), .. } => format!("the instance ended by itself with exit code {code}"),
            Exited { signal: Some(signal), .. } => format!("the instance was killed by signal {signal}"),
            _ => "the instance ended".to_owned(),
        };
        self.tell(&exited.instance, &text);
    }

    /// A process of a living instance was killed for want of memory.
    pub(super) fn lost_a_process(&self, instance: &str) {
        let Some(memory_mb) = self.known().running.get(instance).map(|one| one.memory_mb) else { return };
        let text =
            format!("a process of the instance was killed: it ran out of its {memory_mb} MB of memory");
        self.tell(instance, &text);
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
