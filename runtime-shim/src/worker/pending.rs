//! Requests that a worker holds: a ticket each, and where the answer goes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::stream::{BrokenOff, Overrun, Reader, Writer};
use crate::request::answer::{Answer, Body, Refusal};

/// How a request ends. `Ok(None)`: the worker let go of it without an answer.
pub(crate) type Reply = Result<Option<Answer<Body>>, Refusal>;

/// Ids of requests that have ended are remembered for lines that come late: so many.
const REMEMBERED: usize = 64;

/// What becomes of a request that was handed to a worker.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Reply),
    /// The worker died before it had the whole of it: another one may have it.
    NeverSent,
}

/// Requests are handed over in the order in which their tickets were opened.
#[derive(Default)]
pub(crate) struct Pending {
    held: Mutex<Held>,
    remembers_ids: bool,
}

#[derive(Default)]
struct Held {
    last: u32,
    opened: u64,
    /// So many of those opened were handed over.
    sent: u64,
    entries: HashMap<u32, Entry>,
    ended: VecDeque<(u32, String)>,
    /// Set once the worker is dead: nothing is taken in any more.
    is_dead: bool,
}

struct Entry {
    /// Its place in the order of opening, from 1.
    order: u64,
    /// Empty when nobody asks for it.
    request_id: String,
    place: Place,
}

enum Place {
    Waiting(oneshot::Sender<Outcome>),
    Streaming(Writer),
}

impl Pending {
    /// One that can tell the request id of a ticket.
    pub(crate) fn with_ids() -> Self {
        Self { remembers_ids: true, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new ticket; 0 is never one.
    pub(crate) fn open(&self, request_id: &str) -> (u32, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        let mut held = self.lock();
        loop {
            held.last = held.last.wrapping_add(1);
            if held.last != 0 && !held.entries.contains_key(&held.last) {
                break;
            }
        }
        held.opened += 1;
        let (ticket, order) = (held.last, held.opened);
        if held.is_dead {
            // The receiver is with us still.
            drop(sender.send(Outcome::NeverSent));
            return (ticket, receiver);
        }
        let request_id = if self.remembers_ids { request_id.to_owned() } else { String::new() };
        held.entries.insert(ticket, Entry { order, request_id, place: Place::Waiting(sender) });
        (ticket, receiver)
    }

    /// So many more requests are with the worker, whole.
    pub(crate) fn sent(&self, requests: u64) {
        self.lock().sent += requests;
    }

    /// The request that was handed over last turns out not to have arrived.
    pub(super) fn take_last_back(&self) {
        let mut held = self.lock();
        held.sent = held.sent.saturating_sub(1);
    }

    fn take(&self, ticket: u32) -> Option<Place> {
        let mut held = self.lock();
        let entry = held.entries.remove(&ticket)?;
        if self.remembers_ids {
            if held.ended.len() == REMEMBERED {
                held.ended.pop_front();
            }
            held.ended.push_back((ticket, entry.request_id));
        }
        Some(entry.place)
    }

    /// The request id of a ticket, also of one that was closed a moment ago.
    pub(crate) fn request_id(&self, ticket: u32) -> Option<String> {
        let held = self.lock();
        let open = held.entries.get(&ticket).map(|entry| &entry.request_id);
        open.or_else(|| held.ended.iter().rev().find(|(ended, _)| *ended == ticket).map(|(_, id)| id))
            .cloned()
    }

    /// Hands over a reply, or ends a stream with it: `Ok(None)` and a refusal break it off. `false` when nobody
    /// waits for it.
    pub(crate) fn close(&self, ticket: u32, reply: Reply) -> bool {
        match self.take(ticket) {
            Some(Place::Waiting(sender)) => sender.send(Outcome::Reply(reply)).is_ok(),
            Some(Place::Streaming(writer)) => {
                writer.end(Err(broken_off(&reply)));
                true
            }
            None => false,
        }
    }

    /// The head of a streamed answer; its body follows through `writer`. `false` when nobody waits for it: the
    /// worker is to be told.
    pub(crate) fn head(&self, ticket: u32, head: Answer<Reader>, writer: Writer) -> bool {
        let mut held = self.lock();
        let Some(entry) = held.entries.get_mut(&ticket) else { return false };
        match std::mem::replace(&mut entry.place, Place::Streaming(writer)) {
            // Where the caller has gone meanwhile, dropping the answer drops its reader, which the stream sees.
            Place::Waiting(sender) => drop(sender.send(Outcome::Reply(Ok(Some(head.into()))))),
            // A second head: the stream goes on with it, into nowhere.
            Place::Streaming(first) => first.end(Err(BrokenOff("the worker began it anew".to_owned()))),
        }
        true
    }

    /// More bytes of a streamed answer. Those of a request that is not held are nobody's.
    pub(crate) fn data(&self, ticket: u32, bytes: Bytes) -> Result<(), Overrun> {
        let writer = match self.lock().entries.get(&ticket) {
            Some(Entry { place: Place::Streaming(writer), .. }) => writer.clone(),
            _ => return Ok(()),
        };
        writer.push(bytes)
    }

    /// The end of a streamed answer.
    pub(crate) fn end(&self, ticket: u32, how: Result<(), BrokenOff>) {
        match self.take(ticket) {
            Some(Place::Streaming(writer)) => writer.end(how),
            Some(Place::Waiting(sender)) => {
                let refusal = Refusal::malformed("the worker ended an answer that it had not begun");
                drop(sender.send(Outcome::Reply(Err(refusal))));
            }
            None => {}
        }
    }

    /// Gives a ticket up.
    pub(crate) fn forget(&self, ticket: u32) {
        if let Some(Place::Streaming(writer)) = self.take(ticket) {
            writer.end(Err(BrokenOff("the worker did not let go of it".to_owned())));
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// The worker is dead. Everybody whose request it had hears why; the others' may go to another.
    pub(crate) fn fail(&self, refusal: &Refusal) {
        let mut held = self.lock();
        held.is_dead = true;
        let sent = held.sent;
        for (_, entry) in held.entries.drain() {
            match entry.place {
                Place::Waiting(sender) if entry.order > sent => drop(sender.send(Outcome::NeverSent)),
                Place::Waiting(sender) => drop(sender.send(Outcome::Reply(Err(refusal.clone())))),
                Place::Streaming(writer) => writer.end(Err(BrokenOff(refusal.message().to_owned()))),
            }
        }
    }
}

fn broken_off(reply: &Reply) -> BrokenOff {
    BrokenOff(match reply {
        Ok(Some(_)) => "the worker answered a second time".to_owned(),
        Ok(None) => "the handler let go of it".to_owned(),
        Err(refusal) => refusal.message().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died() -> Refusal {
        Refusal::worker_killed("the worker died")
    }

    #[test]
    fn at_a_workers_death_only_those_it_had_are_refused() {
        let pending = Pending::default();
        let (_, mut first) = pending.open("a");
        let (_, mut second) = pending.open("b");
        pending.sent(1);
        pending.fail(&died());
        let (_, mut third) = pending.open("c");
        assert!(matches!(first.try_recv(), Ok(Outcome::Reply(Err(_)))));
        assert!(matches!(second.try_recv(), Ok(Outcome::NeverSent)));
        assert!(matches!(third.try_recv(), Ok(Outcome::NeverSent)));
        assert_eq!(pending.count(), 0);
    }

    #[test]
    fn the_id_of_a_request_is_known_a_while_longer() {
        let pending = Pending::with_ids();
        let (first, _receiver) = pending.open("a");
        assert_eq!(pending.request_id(first).as_deref(), Some("a"));
        pending.close(first, Ok(None));
        assert_eq!(pending.request_id(first).as_deref(), Some("a"));
        for _ in 0..REMEMBERED {
            let (ticket, _) = pending.open("b");
            pending.close(ticket, Ok(None));
        }
        assert_eq!(pending.request_id(first), None);
    }
}
