//! A streamed answer on its way from the worker to the caller: bytes that wait, at most a window of them, and
//! the credit that the worker gets back as they are taken. No I/O, no clock.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// Credit is given back in steps of this many bytes.
const STEP: usize = 32 << 10;
/// Smaller pieces are joined while they wait: a piece of its own costs more than its bytes.
const SMALL: usize = 1 << 10;

/// A stream that ends before it is whole: the caller's connection is cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub(crate) struct BrokenOff(pub(crate) String);

/// More bytes than the window has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overrun;

/// Told how many bytes more may come.
type Credit = Box<dyn Fn(usize) + Send + Sync>;

/// Both ends of a stream, for at most `window` bytes that wait. `credit` is called as they are taken.
pub(crate) fn open(window: usize, credit: Credit) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { window, ..State::default() }),
        changed: Notify::new(),
        room: Notify::new(),
        credit,
    });
    (Writer(shared.clone()), Reader { shared, is_flushed: false })
}

struct Shared {
    state: Mutex<State>,
    /// Rung when the stream has ended or the caller has gone.
    changed: Notify,
    /// Rung when bytes were taken.
    room: Notify,
    credit: Credit,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Bytes>,
    /// Small pieces, joined; they come after `pieces`.
    tail: BytesMut,
    /// Bytes that may still come.
    window: usize,
    /// Bytes that were taken and not given back yet.
    owed: usize,
    /// What the worker's side says of the end.
    end: Option<Result<(), BrokenOff>>,
    /// The shim's own decision to cut, whatever the worker does.
    cut: Option<BrokenOff>,
    caller: Caller,
    waker: Option<Waker>,
}

/// What becomes of the bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Caller {
    #[default]
    Reads,
    /// The answer carries no body: dropped as they come.
    WantsNone,
    /// Dropped as they come, too: the worker is told, and may finish.
    Gone,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives credit back once it is worth a frame.
    fn taken(&self, mut state: MutexGuard<'_, State>, bytes: usize) {
        state.owed += bytes;
        if state.owed < STEP || state.end.is_some() {
            return;
        }
        let owed = std::mem::take(&mut state.owed);
        state.window += owed;
        drop(state);
        self.room.notify_one();
        (self.credit)(owed);
    }

    fn drop_bytes(&self, caller: Caller) {
        let mut state = self.lock();
        state.caller = caller;
        let dropped = state.pieces.drain(..).map(|piece| piece.len()).sum::<usize>() + state.tail.len();
        state.tail = BytesMut::new();
        self.taken(state, dropped);
    }
}

/// The worker's end; cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Shared>);

impl Writer {
    /// Takes bytes in, without waiting. Fails when there are more than the credit allows.
    pub(crate) fn push(&self, bytes: Bytes) -> Result<(), Overrun> {
        let mut state = self.0.lock();
        state.window = state.window.checked_sub(bytes.len()).ok_or(Overrun)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if state.caller != Caller::Reads {
            self.0.taken(state, bytes.len());
            return Ok(());
        }
        if bytes.len() < SMALL {
            state.tail.extend_from_slice(&bytes);
        } else {
            if !state.tail.is_empty() {
                let tail = state.tail.split().freeze();
                state.pieces.push_back(tail);
            }
            state.pieces.push_back(bytes);
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    /// Takes bytes in, and waits for the caller where there is no room. For sources that know no credit.
    ///
    /// Dropping the future may leave the bytes half taken in: the stream is then to be broken off.
    pub(crate) async fn send(&self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let room = self.0.room.notified();
            let now = bytes.len().min(self.0.lock().window);
            if now == 0 {
                room.await;
            } else if self.push(bytes.split_to(now)).is_err() {
                return;
            }
        }
    }

    /// The worker has finished or given up. Only the first word counts.
    pub(crate) fn end(&self, how: Result<(), BrokenOff>) {
        let mut state = self.0.lock();
        state.end.get_or_insert(how);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        drop(state);
        self.0.changed.notify_one();
        self.0.room.notify_one();
    }
}

/// What a watcher of the stream sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    CallerGone,
    Ended(Result<(), BrokenOff>),
}

/// Watches a stream without reading it.
pub(crate) struct Watcher(Arc<Shared>);

impl Watcher {
    /// Resolves when the worker has ended the stream; before that, once, when the caller has gone.
    pub(crate) async fn next(&self, knows_caller_gone: bool) -> Seen {
        loop {
            let changed = self.0.changed.notified();
            {
                let state = self.0.lock();
                if let Some(end) = &state.end {
                    return Seen::Ended(end.clone());
                }
                if state.caller == Caller::Gone && !knows_caller_gone {
                    return Seen::CallerGone;
                }
            }
            changed.await;
        }
    }

    /// Cuts the caller off, after the bytes that are there already.
    pub(crate) fn cut(&self, why: BrokenOff) {
        let mut state = self.0.lock();
        state.cut.get_or_insert(why);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// The caller's end: a response body. Dropping it early means that the caller has gone.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    /// What came before a cut was given the chance to be written.
    is_flushed: bool,
}

impl Reader {
    pub(crate) fn watch(&self) -> Watcher {
        Watcher(self.shared.clone())
    }

    /// The answer carries no body: the worker may go on, its bytes are dropped.
    pub(crate) fn discard(self) {
        self.shared.drop_bytes(Caller::WantsNone);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.shared.lock().caller == Caller::Reads {
            self.shared.drop_bytes(Caller::Gone);
            self.shared.changed.notify_one();
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Body for Reader {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let piece = match state.pieces.pop_front() {
            None if !state.tail.is_empty() => Some(state.tail.split().freeze()),
            piece => piece,
        };
        if let Some(piece) = piece {
            shared.taken(state, piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let broken = match (&state.cut, &state.end) {
            (Some(why), _) | (None, Some(Err(why))) => why.clone(),
            (None, Some(Ok(()))) => return Poll::Ready(None),
            (None, None) => {
                state.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
        };
        if !std::mem::replace(&mut self.is_flushed, true) {
            // An error ends the connection at once; pending first, hyper writes what it has.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        let state = self.shared.lock();
        state.end == Some(Ok(())) && state.cut.is_none() && state.pieces.is_empty() && state.tail.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt;

    use super::*;

    fn counted(window: usize) -> (Writer, Reader, Arc<AtomicUsize>) {
        let given = Arc::new(AtomicUsize::new(0));
        let count = given.clone();
        let (writer, reader) =
            open(window, Box::new(move |bytes| _ = count.fetch_add(bytes, Ordering::Relaxed)));
        (writer, reader, given)
    }

    fn piece(length: usize) -> Bytes {
        Bytes::from(vec![b'x'; length])
    }

    async fn next(reader: &mut Reader) -> Option<Result<usize, BrokenOff>> {
        Some(reader.frame().await?.map(|frame| frame.into_data().map_or(0, |data| data.len())))
    }

    #[tokio::test]
    async fn bytes_come_in_order_and_credit_goes_back_as_they_are_taken() {
        let (writer, mut reader, given) = counted(2 * STEP);
        writer.push(piece(1)).expect("room");
        writer.push(piece(2)).expect("room");
        writer.push(piece(STEP)).expect("room");
        writer.push(piece(3)).expect("room");
        assert_eq!(writer.push(piece(STEP)), Err(Overrun));
        for (length, credit) in [(3, 0), (STEP, STEP + 3), (3, STEP + 3)] {
            assert_eq!(next(&mut reader).await, Some(Ok(length)));
            assert_eq!(given.load(Ordering::Relaxed), credit);
        }
        writer.end(Ok(()));
        assert_eq!(next(&mut reader).await, None);
    }

    #[tokio::test]
    async fn what_came_before_a_break_is_read_and_then_the_break() {
        let (writer, mut reader, _) = counted(10);
        writer.push(piece(4)).expect("room");
        writer.end(Err(BrokenOff("boom".into())));
        writer.end(Ok(()));
        assert_eq!(next(&mut reader).await, Some(Ok(4)));
        assert_eq!(next(&mut reader).await, Some(Err(BrokenOff("boom".into()))));
    }

    #[tokio::test]
    async fn a_caller_that_has_gone_is_seen_once_and_its_bytes_are_credited() {
        let (writer, reader, given) = counted(STEP);
        let watcher = reader.watch();
        writer.push(piece(STEP)).expect("room");
        drop(reader);
        assert_eq!(watcher.next(false).await, Seen::CallerGone);
        assert_eq!(given.load(Ordering::Relaxed), STEP);
        writer.push(piece(STEP)).expect("room again");
        writer.end(Ok(()));
        assert_eq!(watcher.next(true).await, Seen::Ended(Ok(())));
    }

    #[tokio::test]
    async fn a_body_that_is_not_wanted_is_dropped_and_nobody_has_gone() {
        let (writer, reader, given) = counted(STEP);
        let watcher = reader.watch();
        reader.discard();
        for count in 1..=3 {
            writer.push(piece(STEP)).expect("room");
            assert_eq!(given.load(Ordering::Relaxed), count * STEP);
        }
        writer.end(Ok(()));
        assert_eq!(watcher.next(false).await, Seen::Ended(Ok(())));
    }

    #[tokio::test]
    async fn a_source_without_credit_waits_for_the_caller() {
        let (writer, mut reader, _) = counted(STEP);
        let sent = tokio::spawn(async move {
            writer.send(piece(5 * STEP + 1)).await;
            writer.end(Ok(()));
        });
        let mut got = 0;
        while let Some(length) = next(&mut reader).await {
            got += length.expect("whole");
        }
        sent.await.expect("sent");
        assert_eq!(got, 5 * STEP + 1);
    }
}
