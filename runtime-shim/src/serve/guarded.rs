//! A connection as the HTTP server reads it: nothing that breaks the rules of framing comes through, and a caller
//! that stops in the middle is not waited for.
//!
//! After a violation in a head the server gets bytes that are no request, which it answers with 400 before it
//! closes; in a body it gets an error, which becomes the answer of that request. It never reads on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::framing::{Framing, Refused, Stage, Violation};

/// No head has a NUL. The empty line is for a server that parses when a head looks whole.
const NO_REQUEST: &[u8] = b"\0\r\n\r\n";
/// How long a caller that still sends is listened to after the last answer, so that it can read it: to close at
/// once would reset the connection (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

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
    /// The rest of [`NO_REQUEST`], from here.
    NoRequest(usize),
    /// An error, once the head before it is read.
    Error(Violation),
    /// Nothing.
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
    pub(super) fn new(stream: S, patience: Option<Patience>, on_refusal: R) -> Self {
        let (framing, ending) = (Framing::new(), Ending::No);
        Self { stream, framing, patience, timer: None, reads: 0, ending, linger: None, on_refusal }
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
        self.ending =
            if refused.is_in_head { Ending::NoRequest(0) } else { Ending::Error(refused.violation) };
    }

    fn read_ending(&mut self, out: &mut ReadBuf<'_>) -> io::Result<()> {
        match self.ending {
            Ending::NoRequest(from) => {
                let end = NO_REQUEST.len().min(from + out.remaining());
                out.put_slice(&NO_REQUEST[from..end]);
                self.ending = if end == NO_REQUEST.len() { Ending::Over } else { Ending::NoRequest(end) };
            }
            Ending::Error(violation) => {
                self.ending = Ending::Over;
                return Err(io::Error::new(io::ErrorKind::InvalidData, violation));
            }
            Ending::No | Ending::Over => {}
        }
        Ok(())
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
        if this.ending != Ending::No {
            return Poll::Ready(this.read_ending(out));
        }
        let before = out.filled().len();
        let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, out) else {
            return this.poll_patience(context);
        };
        read?;
        this.reads += 1;
        let Err(refused) = this.framing.read(&out.filled()[before..]) else { return Poll::Ready(Ok(())) };
        this.refuse(refused);
        out.set_filled(before + refused.at);
        // What the server is to read before comes alone: an error would be taken for the error of its head.
        Poll::Ready(if refused.at == 0 { this.read_ending(out) } else { Ok(()) })
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
