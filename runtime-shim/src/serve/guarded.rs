//! A connection as the HTTP server reads it: nothing that breaks the rules of framing comes through, and a caller
//! that stops in the middle is not waited for.
//!
//! Heads come through whole. Instead of one that breaks a rule the server gets [`STAND_IN`], whose answer is the
//! refusal: so it is an answer like all others. A violation in a body is an error of that body, which becomes the
//! answer of its request. The caller is not read any further.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::header::HOST;
use hyper::{Request, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::framing::{Framing, HeadOf, Refused, Stage, Violation};
use super::held::Held;

/// A head that no caller can send: one of HTTP/1.1 without a Host is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
/// The same for HEAD, whose answer has no body.
const STAND_IN_OF_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\n\r\n";
/// An empty line before a request is ignored. It tells the server that a head has begun: without it the server
/// would take a connection whose head is held back for one that nobody uses, and close it when it ends; and it would
/// ask on for the end of a caller whose request still runs.
const BEGUN: &[u8] = b"\r\n";
/// The server's first read is of a few bytes, to see which protocol it is. More is read here, in one piece.
const SMALL: usize = 1 << 10;
/// How long a caller that still sends is listened to after the last answer, so that it can read it: to close at
/// once would reset the connection (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// Whether a request is the stand-in for one that was refused.
pub(super) fn is_stand_in<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST)
}

/// How long a caller may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For its first byte, and between two reads of a body.
    pub(super) idle: Duration,
    /// For a whole head, from its first byte.
    pub(super) head: Duration,
}

/// `R` is told of a refusal.
pub(super) struct Guarded<S, R> {
    stream: S,
    framing: Framing,
    held: Held,
    /// The last head of which the server knows that it has begun.
    begun: Option<u64>,
    /// `None`: there is time without end.
    patience: Option<Patience>,
    timer: Option<Timer>,
    /// Read so often; a body that comes slowly still comes.
    reads: u64,
    ending: Ending,
    /// Set once the last answer is out and the caller is still listened to.
    linger: Option<Pin<Box<Sleep>>>,
    on_refusal: R,
}

/// What the server reads from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// What the caller sends.
    No,
    /// What is left of a stand-in for a head.
    StandIn(&'static [u8]),
    /// An error, once what came before it is read.
    Error(Violation),
    /// Nothing, while the stand-in is answered: an end would say that nobody waits for the answer.
    Answered,
    /// The end.
    Over,
}

struct Timer {
    waits_for: (Stage, u64),
    sleep: Pin<Box<Sleep>>,
}

impl<S, R> Guarded<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Fn(Violation) + Unpin,
{
    /// A head may have `longest_head` bytes.
    pub(super) fn new(stream: S, longest_head: usize, patience: Option<Patience>, on_refusal: R) -> Self {
        Self {
            stream,
            framing: Framing::new(longest_head),
            held: Held::default(),
            begun: None,
            patience,
            timer: None,
            reads: 0,
            ending: Ending::No,
            linger: None,
            on_refusal,
        }
    }

    /// Nothing has come: resolves to an error, or to the end, when that lasts too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(patience) = self.patience else { return Poll::Pending };
        let (waits_for, time) = match self.framing.stage() {
            // The server watches this time itself: it knows what still runs.
            Stage::Between => {
                self.timer = None;
                return Poll::Pending;
            }
            stage @ Stage::Head(_) => ((stage, 0), patience.head),
            stage @ (Stage::Fresh | Stage::Body) => ((stage, self.reads), patience.idle),
        };
        match &mut self.timer {
            Some(timer) if timer.waits_for == waits_for => {}
            Some(timer) => {
                timer.waits_for = waits_for;
                timer.sleep.as_mut().reset(Instant::now() + time);
            }
            none => *none = Some(Timer { waits_for, sleep: Box::pin(sleep_until(Instant::now() + time)) }),
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        ready!(timer.sleep.as_mut().poll(context));
        self.timer = None;
        self.ending = Ending::Over;
        match waits_for.0 {
            Stage::Body => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            // There is nobody to answer to yet.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn refuse(&mut self, refused: Refused) {
        (self.on_refusal)(refused.violation);
        self.ending = match refused.head {
            Some(HeadOf::Head) => Ending::StandIn(STAND_IN_OF_HEAD),
            Some(HeadOf::Another) => Ending::StandIn(STAND_IN),
            None => Ending::Error(refused.violation),
        };
    }

    fn poll_ending(&mut self, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.ending {
            Ending::StandIn(rest) => {
                let (now, later) = rest.split_at(rest.len().min(out.remaining()));
                out.put_slice(now);
                self.ending = if later.is_empty() { Ending::Answered } else { Ending::StandIn(later) };
            }
            Ending::Error(violation) => {
                self.ending = Ending::Over;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)));
            }
            // Its answer closes the connection; nothing is to wake the server.
            Ending::Answered => return Poll::Pending,
            Ending::No | Ending::Over => {}
        }
        Poll::Ready(Ok(()))
    }

    /// How many of the bytes just read may be passed on.
    fn judge(&mut self, read: &[u8]) -> usize {
        self.reads += 1;
        self.framing.read(read).unwrap_or_else(|refused| {
            self.refuse(refused);
            refused.at
        })
    }

    /// Keeps what was read behind what is held. After a refusal the rest is never needed.
    fn hold(&mut self, read: &[u8], passed: usize) {
        if self.ending == Ending::No {
            self.held.take_in(read, passed);
        } else {
            self.held.take_in(&read[..passed], passed);
            self.held.forget();
        }
    }

    /// One read from the caller, passed on as far as it may be. `false` when there is nothing more to come.
    fn poll_caller(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        if out.remaining() < SMALL {
            let mut scratch = [MaybeUninit::uninit(); SMALL];
            let mut read = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            let passed = self.judge(read.filled());
            self.hold(read.filled(), passed);
            return Poll::Ready(Ok(!read.filled().is_empty()));
        }
        let before = out.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, out))?;
        let read = &out.filled()[before..];
        let (passed, is_more) = (self.judge(read), !read.is_empty());
        if self.held.is_empty() {
            self.hold(&read[passed..], 0);
            out.set_filled(before + passed);
        } else {
            self.hold(read, passed);
            out.set_filled(before);
        }
        Poll::Ready(Ok(is_more))
    }

    /// Whether the caller may be sending still, although nothing of it will be read.
    fn is_unfinished(&self) -> bool {
        self.ending != Ending::No || self.framing.stage() == Stage::Body
    }

    /// Reads and forgets until the caller has closed, or [`LINGER`] is over.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let end = self.linger.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 16 << 10];
        loop {
            let mut out = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut out));
            if read.is_err() || out.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl<S, R> AsyncRead for Guarded<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Fn(Violation) + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = out.filled().len();
        loop {
            if this.held.has_free() {
                this.held.release(out);
                return Poll::Ready(Ok(()));
            }
            // Nothing else comes with it: an error would be taken for the error of what came before.
            if this.ending != Ending::No {
                return this.poll_ending(out);
            }
            let head = this.framing.head_begun();
            if head.is_some() && this.begun != head && out.remaining() >= BEGUN.len() {
                this.begun = head;
                out.put_slice(BEGUN);
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(is_more) = this.poll_caller(context, out) else {
                return this.poll_patience(context);
            };
            if !is_more? || out.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S, R> AsyncWrite for Guarded<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Fn(Violation) + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        if this.is_unfinished() {
            ready!(this.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
