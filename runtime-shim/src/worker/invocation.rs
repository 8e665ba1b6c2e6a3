//! One invocation in one process: until it is answered, its time is up, or the process is gone. What it occupies
//! is free again only when the handler has finished, has let go, or is given up with its process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::pending::Outcome;
use super::stream::{BrokenOff, Seen, Watcher};
use super::{Call, Ending, Running, Worker};
use crate::init::logs::{Level, Scope};
use crate::request::answer::{Answer, Body, Refusal};
use crate::request::slots::Slot;

/// After its time was up, how long a handler may take to let go before the worker is replaced.
const COMEBACK: Duration = Duration::from_secs(1);

/// What an attempt comes to.
pub(super) enum Attempt {
    Done(Result<Answer<Body>, Refusal>),
    /// The process died before it had the request.
    NeverSent(Slot),
}

/// A request that a process holds. Dropping it before its answer means that the caller has gone.
pub(super) struct Invocation {
    held: Held,
    /// Taken when it is known what comes.
    live: Option<Live>,
}

#[derive(Clone)]
struct Held {
    worker: Arc<Worker>,
    running: Arc<Running>,
    ticket: u32,
    limit: Duration,
    deadline: Instant,
}

struct Live {
    reply: oneshot::Receiver<Outcome>,
    place: Place,
}

/// What it occupies.
struct Place {
    slot: Slot,
    _scope: Scope,
}

impl Invocation {
    /// Hands the request over. The handler's time begins.
    pub(super) fn start(worker: Arc<Worker>, running: Arc<Running>, call: &Call, slot: Slot) -> Self {
        let place = Place { slot, _scope: worker.logs.scope(&call.event.request_id) };
        let deadline = Instant::now() + call.timeout;
        let (ticket, reply) = running.link.start(call);
        let held = Held { worker, running, ticket, limit: call.timeout, deadline };
        Self { held, live: Some(Live { reply, place }) }
    }

    pub(super) async fn answer(mut self) -> Attempt {
        let outcome = match &mut self.live {
            Some(live) => live.outcome(self.held.deadline).await,
            None => None,
        };
        let Some(live) = self.live.take() else { return Attempt::Done(Err(lost())) };
        let result = match outcome {
            Some(Outcome::NeverSent) => return Attempt::NeverSent(live.place.slot),
            Some(Outcome::Reply(Ok(Some(answer)))) => {
                if let Body::Stream(reader) = &answer.body {
                    tokio::spawn(self.held.clone().follow(reader.watch(), live.place, false));
                }
                Ok(answer)
            }
            Some(Outcome::Reply(Ok(None))) => Err(Refusal::malformed("the worker gave no answer")),
            Some(Outcome::Reply(Err(refusal))) => Err(refusal),
            None => {
                let refusal = Refusal::timed_out(self.held.limit);
                tokio::spawn(self.held.clone().let_go(live.place, async { drop(live.reply.await) }));
                Err(refusal)
            }
        };
        Attempt::Done(result)
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        // At the very end there may be no runtime any more, and nobody to tell.
        if let (Some(live), Ok(runtime)) = (self.live.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(self.held.clone().left_alone(live));
        }
    }
}

impl Live {
    /// `None` when the time is up first. Cancellation: no outcome is lost.
    async fn outcome(&mut self, deadline: Instant) -> Option<Outcome> {
        tokio::select! {
            biased;
            outcome = &mut self.reply => Some(outcome.unwrap_or_else(|_| Outcome::Reply(Err(lost())))),
            () = sleep_until(deadline) => None,
        }
    }
}

impl Held {
    /// The caller has gone: the handler is told, and may finish.
    async fn left_alone(self, mut live: Live) {
        self.running.link.cancel(self.ticket, Ending::CallerGone);
        match live.outcome(self.deadline).await {
            None => self.let_go(live.place, async { drop(live.reply.await) }).await,
            Some(Outcome::Reply(Ok(Some(Answer { body: Body::Stream(reader), .. })))) => {
                let watcher = reader.watch();
                drop(reader);
                self.follow(watcher, live.place, true).await;
            }
            Some(_) => {}
        }
    }

    /// A streamed answer, until its end.
    async fn follow(self, watcher: Watcher, place: Place, mut knows_caller_gone: bool) {
        let end = loop {
            // Cancellation: the watcher only looks.
            tokio::select! {
                biased;
                seen = watcher.next(knows_caller_gone) => match seen {
                    Seen::Ended(how) => break Some(how),
                    Seen::CallerGone => {
                        knows_caller_gone = true;
                        self.running.link.cancel(self.ticket, Ending::CallerGone);
                    }
                },
                () = sleep_until(self.deadline) => break None,
            }
        };
        match end {
            Some(Err(why)) if !knows_caller_gone => self.worker.logs.platform(Level::Warn, &why.to_string()),
            Some(_) => {}
            None => {
                let limit = self.limit.as_millis();
                let why = BrokenOff(format!("the function did not finish it within {limit} ms"));
                self.worker.logs.platform(Level::Warn, &why.to_string());
                watcher.cut(why);
                self.let_go(place, async { while watcher.next(true).await == Seen::CallerGone {} }).await;
            }
        }
    }

    /// Its time was up: it lets go, `back`, or its process is replaced.
    async fn let_go(self, place: Place, back: impl Future<Output = ()>) {
        let Self { worker, running, ticket, .. } = self;
        let mut suspicion = worker.suspect(&running);
        running.link.cancel(ticket, Ending::TimedOut);
        let back = timeout(COMEBACK, back);
        tokio::pin!(back);
        // Cancellation: a ping whose answer nobody waits for does no harm.
        let came_back = tokio::select! {
            biased;
            back = &mut back => back.is_ok(),
            () = running.link.is_awake() => {
                // This handler goes on, but it blocks no other.
                suspicion.end();
                back.await.is_ok()
            }
        };
        running.link.forget(ticket);
        suspicion.end();
        if !came_back {
            worker.replace(&running, "the handler did not let go after its timeout");
        }
        drop(place);
    }
}

fn lost() -> Refusal {
    Refusal::worker_killed("the request was lost")
}
