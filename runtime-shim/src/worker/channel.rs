//! The channel to a node or python worker: one socket, frames both ways, requests multiplexed by id.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::frames::{self, FLAG_REPLACE, FLAG_TEXT, FLAG_TIMED_OUT, Frame, Kind, WINDOW};
use super::meta::{self, Specialise, Specialised};
use super::pending::{Outcome, Pending};
use super::socket::ReadHalf;
use super::{Call, Ending, lines, socket, stream, writer};
use crate::init::logs::{Level, Logs};

/// Room that is made for reading, in bytes.
const BUFFER: usize = 64 << 10;

pub(crate) struct Channel {
    out: mpsc::UnboundedSender<Frame>,
    pub(crate) pending: Pending,
    closed: watch::Sender<bool>,
    /// Rung when the worker has said that it is no longer sound.
    unsound: Notify,
    /// Whether the last byte that was written was that of a request.
    pub(super) ends_with_request: AtomicBool,
    /// The number of the last ping.
    pings: AtomicU32,
    pongs: watch::Sender<u32>,
    specialised: std::sync::Mutex<Option<oneshot::Sender<Specialised>>>,
    logs: Logs,
}

impl Channel {
    /// Starts to read and write. The second value resolves when the worker has said whether it has the handler.
    ///
    /// Fails when the machine has no room for another watched descriptor.
    pub(crate) fn open(
        stream: UnixStream,
        logs: Logs,
    ) -> io::Result<(Arc<Self>, oneshot::Receiver<Specialised>)> {
        let (read, write) = socket::split(stream)?;
        let (out, frames) = mpsc::unbounded_channel();
        let (sender, specialised) = oneshot::channel();
        let channel = Arc::new(Self {
            out,
            pending: if logs.are_records() { Pending::with_ids() } else { Pending::default() },
            closed: watch::Sender::new(false),
            unsound: Notify::new(),
            ends_with_request: AtomicBool::new(false),
            pings: AtomicU32::new(0),
            pongs: watch::Sender::new(0),
            specialised: std::sync::Mutex::new(Some(sender)),
            logs,
        });
        tokio::spawn(until_closed(channel.clone(), writer::write_frames(channel.clone(), write, frames)));
        tokio::spawn(until_closed(channel.clone(), channel.clone().read_frames(read)));
        Ok((channel, specialised))
    }

    pub(crate) fn specialise(&self, what: &Specialise<'_>) {
        let meta = crate::request::ascii_json(what).into();
        self.send(Frame { meta, ..Frame::bare(Kind::Specialise, 0, 0) });
    }

    /// Hands a request to the worker.
    pub(crate) fn start(&self, call: &Call) -> (u32, oneshot::Receiver<Outcome>) {
        let (ticket, reply) = self.pending.open(&call.event.request_id);
        let flags = if std::str::from_utf8(&call.body).is_ok() { FLAG_TEXT } else { 0 };
        let frame = Frame {
            meta: meta::request(call),
            body: call.body.clone(),
            ..Frame::bare(Kind::Request, flags, ticket)
        };
        self.send(frame);
        (ticket, reply)
    }

    pub(crate) fn cancel(&self, ticket: u32, why: Ending) {
        let flags = if why == Ending::TimedOut { FLAG_TIMED_OUT } else { 0 };
        self.send(Frame::bare(Kind::Cancel, flags, ticket));
    }

    /// Ends the channel from this side. Who waits for an answer is told by [`Pending::fail`].
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Resolves when the other end is closed, or no longer speaks the protocol.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Resolves when the worker has said that it is to be replaced.
    pub(crate) async fn unsound(&self) {
        self.unsound.notified().await;
    }

    /// Resolves when the worker's loop has answered a ping of now.
    pub(crate) async fn ping(&self) {
        let number = self.pings.fetch_add(1, Ordering::Relaxed) + 1;
        let mut pongs = self.pongs.subscribe();
        self.send(Frame::bare(Kind::Ping, 0, number));
        // The sender lives as long as `self`. Pings are answered in order.
        let _ = pongs.wait_for(|last| *last >= number).await;
    }

    /// A frame to a dead worker goes nowhere: whoever waits hears of the death.
    fn send(&self, frame: Frame) {
        let _ = self.out.send(frame);
    }

    async fn read_frames(self: Arc<Self>, mut read: ReadHalf) {
        let mut buffer = BytesMut::with_capacity(BUFFER);
        let mut lines = lines::Queue::start(&self.logs);
        loop {
            match read.read_buf(&mut buffer).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return self.reset(&error),
            }
            if !self.dispatch_all(&mut buffer, &mut lines).await {
                return;
            }
            buffer.reserve(4096);
        }
    }

    /// A Unix socket is reset, rather than at its end, when its other end was closed with bytes unread. Those that
    /// were written last are among them: a request that ended there was not read whole.
    fn reset(&self, error: &std::io::Error) {
        if error.kind() == std::io::ErrorKind::ConnectionReset
            && self.ends_with_request.load(Ordering::Relaxed)
        {
            self.pending.take_last_back();
        }
    }

    /// `false` when the peer does not speak the protocol.
    async fn dispatch_all(&self, buffer: &mut BytesMut, lines: &mut lines::Queue) -> bool {
        loop {
            let problem = match frames::take(buffer) {
                Ok(None) => return true,
                Ok(Some(frame)) => {
                    let kind = frame.kind;
                    let is_spoken = match kind {
                        Kind::Log => self.dispatch_log(frame, lines).await,
                        _ => self.dispatch(frame),
                    };
                    if is_spoken {
                        continue;
                    }
                    format!("a frame of type {} that it may not send", kind as u8)
                }
                Err(error) => error.to_string(),
            };
            self.logs.platform(Level::Error, &format!("the worker does not speak the protocol: {problem}"));
            return false;
        }
    }

    fn dispatch(&self, frame: Frame) -> bool {
        if matches!(frame.kind, Kind::Error | Kind::End) && frame.flags & FLAG_REPLACE != 0 {
            self.unsound.notify_one();
        }
        match frame.kind {
            // Nobody may wait for any of these any more: the time was up.
            Kind::Answer => drop(self.pending.close(frame.id, meta::answer(&frame.meta, frame.body))),
            Kind::Error => drop(self.pending.close(frame.id, Err(meta::error(&frame.meta)))),
            Kind::Cancelled => drop(self.pending.close(frame.id, Ok(None))),
            Kind::Head => return self.dispatch_head(&frame),
            Kind::Data => return self.pending.data(frame.id, frame.body).is_ok(),
            Kind::End => self.pending.end(frame.id, meta::end(&frame.meta)),
            Kind::Pong => drop(self.pongs.send_replace(frame.id)),
            Kind::Hello => {}
            Kind::Specialised => return self.dispatch_specialised(&frame.meta),
            Kind::Specialise | Kind::Request | Kind::Cancel | Kind::Ping | Kind::Credit | Kind::Log => {
                return false;
            }
        }
        true
    }

    fn dispatch_head(&self, frame: &Frame) -> bool {
        let (out, ticket) = (self.out.clone(), frame.id);
        let credit = move |bytes| {
            // To a dead worker it goes nowhere.
            let _ = out.send(Frame { meta: meta::credit(bytes), ..Frame::bare(Kind::Credit, 0, ticket) });
        };
        let (writer, reader) = stream::open(WINDOW, Box::new(credit));
        if writer.push(frame.body.clone()).is_err() {
            return false;
        }
        let is_held = match meta::head(&frame.meta, reader) {
            Ok(head) => self.pending.head(ticket, head, writer),
            Err(refusal) => {
                self.pending.close(ticket, Err(refusal));
                false
            }
        };
        if !is_held {
            self.cancel(ticket, Ending::TimedOut);
        }
        true
    }

    async fn dispatch_log(&self, frame: Frame, lines: &mut lines::Queue) -> bool {
        let Some(stream) = meta::log(&frame.meta) else { return false };
        lines.push(self.pending.request_id(frame.id), stream, frame.body).await;
        true
    }

    fn dispatch_specialised(&self, meta: &[u8]) -> bool {
        let sender = self.specialised.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match (sender, serde_json::from_slice(meta)) {
            (Some(sender), Ok(said)) => sender.send(said).is_ok(),
            _ => false,
        }
    }
}

/// One direction of the channel. Its end is the channel's; a socket that somebody else still holds open is no
/// reason to go on.
async fn until_closed(channel: Arc<Channel>, direction: impl Future<Output = ()>) {
    // Cancellation: once the channel is closed nothing is lost that anybody waits for.
    tokio::select! {
        biased;
        () = direction => channel.close(),
        () = channel.closed() => {}
    }
}
