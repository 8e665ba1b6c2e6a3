//! The repositories that a push mounts blobs from, and what the registry has said to that.
//!
//! Blobs go side by side, and what the registry says to the first one that asks for a source may hold for all: a
//! source that may not be read is asked for once. So the others of that source wait for that one answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::StatusCode;
use tokio::sync::Notify;

/// The sources of one conversation.
pub(super) struct Sources {
    known: Mutex<Known>,
    /// Some source's state is another one.
    changed: Notify,
}

struct Known {
    /// Those that may be read, as far as is known.
    sources: BTreeMap<String, State>,
    /// A blob was mounted, so the registry does that.
    mounts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Untried,
    /// A blob asks, and the others wait.
    Asking,
    Answered,
}

/// A source that may be asked for. Dropped without an answer, by the first that asks, it is for the next one to try.
pub(super) struct Source<'a> {
    of: &'a Sources,
    name: &'a str,
    is_first: bool,
}

impl Sources {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let sources = names.into_iter().map(|name| (name, State::Untried)).collect();
        Self { known: Mutex::new(Known { sources, mounts: false }), changed: Notify::new() }
    }

    /// Those that may be read, as far as is known.
    pub(super) fn names(&self) -> Vec<String> {
        self.known().sources.keys().cloned().collect()
    }

    /// None of them may be read.
    pub(super) fn close_all(&self) {
        self.known().sources.clear();
        self.changed.notify_waiters();
    }

    /// A source, when it may be mounted from: at once for the first that asks, for others when that one has its answer.
    pub(super) async fn open<'a>(&'a self, name: &'a str) -> Option<Source<'a>> {
        let decide = |known: &mut Known| {
            let state = known.sources.get_mut(name);
            let is_first = state.as_deref() == Some(&State::Untried);
            match state {
                None => Some(None),
                Some(State::Asking) => None,
                Some(state) => {
                    if is_first {
                        *state = State::Asking;
                    }
                    Some(Some(Source { of: self, name, is_first }))
                }
            }
        };
        self.when(decide).await
    }

    /// Whether the registry is known to mount; known when nobody waits for an answer to that.
    pub(super) async fn mounts(&self) -> bool {
        let decide = |known: &mut Known| {
            let asking = known.sources.values().any(|state| *state == State::Asking);
            (known.mounts || !asking).then_some(known.mounts)
        };
        self.when(decide).await
    }

    /// The registry has mounted a blob.
    pub(super) fn mounted(&self) {
        self.known().mounts = true;
        self.changed.notify_waiters();
    }

    /// Waits until `decide` has an answer.
    async fn when<T>(&self, mut decide: impl FnMut(&mut Known) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the look: a change between it and the wait is not missed.
            changed.as_mut().enable();
            if let Some(decided) = decide(&mut self.known()) {
                return decided;
            }
            changed.await;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every value is whole at any time.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Source<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The registry has answered the question for a blob. One that forbids it is not asked again; after any other that
    /// is no passing failure the others may ask, side by side.
    pub(super) fn answered(&self, status: StatusCode) {
        match status.as_u16() {
            401 | 403 | 405 => self.close(),
            429 | 500.. => {}
            _ => self.set(State::Answered),
        }
    }

    fn close(&self) {
        self.of.known().sources.remove(self.name);
        self.of.changed.notify_waiters();
    }

    fn set(&self, state: State) {
        if let Some(present) = self.of.known().sources.get_mut(self.name) {
            *present = state;
        }
        self.of.changed.notify_waiters();
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        let present = self.of.known().sources.get(self.name).copied();
        if self.is_first && present == Some(State::Asking) {
            self.set(State::Untried);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn sources() -> Sources {
        Sources::new(["base".to_owned()])
    }

    #[test]
    fn others_wait_for_the_first_ones_answer() {
        let sources = sources();
        let first = sources.open("base").now_or_never().unwrap().unwrap();
        let mut second = Box::pin(sources.open("base"));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(sources.mounts().now_or_never().is_none(), "not known before the answer");
        first.answered(StatusCode::ACCEPTED);
        assert!(second.now_or_never().unwrap().is_some());
        assert_eq!(sources.mounts().now_or_never(), Some(false));
    }

    #[test]
    fn a_closed_source_is_asked_for_no_more() {
        let sources = sources();
        let first = sources.open("base").now_or_never().unwrap().unwrap();
        let mut second = Box::pin(sources.open("base"));
        assert!(second.as_mut().now_or_never().is_none());
        first.answered(StatusCode::FORBIDDEN);
        drop(first);
        assert!(second.now_or_never().unwrap().is_none() && sources.names().is_empty());
    }

    #[test]
    fn a_question_that_fails_is_asked_by_the_next() {
        let sources = sources();
        let first = sources.open("base").now_or_never().unwrap().unwrap();
        let mut second = Box::pin(sources.open("base"));
        assert!(second.as_mut().now_or_never().is_none());
        first.answered(StatusCode::TOO_MANY_REQUESTS);
        drop(first);
        let second = second.now_or_never().unwrap().unwrap();
        assert!(sources.open("base").now_or_never().is_none(), "the second asks");
        sources.mounted();
        second.answered(StatusCode::CREATED);
        assert_eq!(sources.mounts().now_or_never(), Some(true));
        // Whoever asks after that answer waits for nobody, and nobody for it.
        drop(sources.open("base").now_or_never().unwrap());
        assert!(sources.open("base").now_or_never().unwrap().is_some());
    }

    #[test]
    fn what_is_no_source_is_closed() {
        let sources = sources();
        assert!(sources.open("other").now_or_never().unwrap().is_none());
        sources.close_all();
        assert!(sources.open("base").now_or_never().unwrap().is_none());
    }
}
