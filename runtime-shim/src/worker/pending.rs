//! Requests that a worker holds: a ticket each, and where the answer goes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::request::answer::{Answer, Refusal};

/// How a request ends. `Ok(None)`: the worker let go of it without an answer.
pub(crate) type Reply = Result<Option<Answer>, Refusal>;

#[derive(Default)]
pub(crate) struct Pending {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    last: u32,
    replies: HashMap<u32, oneshot::Sender<Reply>>,
    /// Set once the worker is dead: nothing is taken in any more.
    death: Option<Refusal>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new ticket; 0 is never one.
    pub(crate) fn open(&self) -> (u32, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        let mut held = self.lock();
        loop {
            held.last = held.last.wrapping_add(1);
            if held.last != 0 && !held.replies.contains_key(&held.last) {
                break;
            }
        }
        let ticket = held.last;
        match &held.death {
            // The receiver may be gone already, which is fine.
            Some(refusal) => drop(sender.send(Err(refusal.clone()))),
            None => drop(held.replies.insert(ticket, sender)),
        }
        (ticket, receiver)
    }

    /// Hands over a reply. `false` when nobody waits for it.
    pub(crate) fn close(&self, ticket: u32, reply: Reply) -> bool {
        let sender = self.lock().replies.remove(&ticket);
        sender.is_some_and(|sender| sender.send(reply).is_ok())
    }

    /// Gives a ticket up.
    pub(crate) fn forget(&self, ticket: u32) {
        self.lock().replies.remove(&ticket);
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().replies.len()
    }

    /// The worker is dead: everybody hears it, now and later.
    pub(crate) fn fail(&self, refusal: &Refusal) {
        let mut held = self.lock();
        held.death = Some(refusal.clone());
        for (_, sender) in held.replies.drain() {
            drop(sender.send(Err(refusal.clone())));
        }
    }
}
