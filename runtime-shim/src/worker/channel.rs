//! The channel to a node or python worker: one socket, frames both ways, requests multiplexed by id.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};

use super::frames::{self, FLAG_TEXT, FLAG_TIMED_OUT, Frame, Kind};
use super::pending::{Pending, Reply};
use super::{Call, Ending};
use crate::request::answer::{Answer, Refusal};

/// Bodies up to this size are copied behind their head, so that one write carries both.
const SMALL_BODY: usize = 16 << 10;
/// Bytes that are gathered before a write.
const BATCH: usize = 64 << 10;

pub(crate) struct Channel {
    out: mpsc::UnboundedSender<Frame>,
    pub(crate) pending: Pending,
    closed: watch::Sender<bool>,
    pongs: watch::Sender<u32>,
    specialised: std::sync::Mutex<Option<oneshot::Sender<Specialised>>>,
}

/// SPECIALISE's meta.
#[derive(Debug, Serialize)]
pub(crate) struct Specialise<'a> {
    pub(crate) directory: &'a str,
    pub(crate) handler: &'a str,
    pub(crate) environment: &'a std::collections::BTreeMap<String, String>,
    pub(crate) function: SpecialiseFunction<'a>,
    pub(crate) max_concurrency: u32,
}

/// What the handler's context tells.
#[derive(Debug, Serialize)]
pub(crate) struct SpecialiseFunction<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) memory_mb: u32,
}

/// SPECIALISED's meta.
#[derive(Debug, Deserialize)]
pub(crate) struct Specialised {
    pub(crate) ok: bool,
    #[serde(default)]
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) error_type: String,
}

/// REQUEST's meta.
#[derive(Serialize)]
struct RequestMeta<'a> {
    event: &'a RawValue,
    request_id: &'a str,
    remaining_ms: u64,
}

/// ANSWER's meta.
#[derive(Deserialize)]
struct AnswerMeta {
    status: i64,
    headers: Vec<(String, String)>,
}

/// ERROR's meta.
#[derive(Deserialize)]
struct ErrorMeta {
    kind: ErrorKind,
    message: String,
    error_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ErrorKind {
    Thrown,
    Malformed,
}

impl Channel {
    /// Starts to read and write. The second value resolves when the worker has said whether it has the handler.
    pub(crate) fn open(stream: UnixStream) -> (Arc<Self>, oneshot::Receiver<Specialised>) {
        let (read, write) = stream.into_split();
        let (out, frames) = mpsc::unbounded_channel();
        let (sender, specialised) = oneshot::channel();
        let channel = Arc::new(Self {
            out,
            pending: Pending::default(),
            closed: watch::Sender::new(false),
            pongs: watch::Sender::new(0),
            specialised: std::sync::Mutex::new(Some(sender)),
        });
        tokio::spawn(write_frames(write, frames));
        tokio::spawn(channel.clone().read_frames(read));
        (channel, specialised)
    }

    pub(crate) fn specialise(&self, what: &Specialise<'_>) {
        let meta = crate::request::ascii_json(what).into();
        self.send(Frame { meta, ..Frame::bare(Kind::Specialise, 0, 0) });
    }

    /// Hands a request to the worker.
    pub(crate) fn start(&self, call: &Call) -> (u32, oneshot::Receiver<Reply>) {
        let (ticket, reply) = self.pending.open();
        let flags = if std::str::from_utf8(&call.body).is_ok() { FLAG_TEXT } else { 0 };
        let frame = Frame {
            meta: request_meta(call),
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

    /// Resolves when the other end is closed, or no longer speaks the protocol.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Whether the worker's loop answers a ping within `patience`.
    pub(crate) async fn answers(&self, number: u32, patience: Duration) -> bool {
        let mut pongs = self.pongs.subscribe();
        self.send(Frame::bare(Kind::Ping, 0, number));
        let answered = tokio::time::timeout(patience, pongs.wait_for(|last| *last == number)).await;
        matches!(answered, Ok(Ok(_)))
    }

    /// A frame to a dead worker goes nowhere: whoever waits hears of the death.
    fn send(&self, frame: Frame) {
        let _ = self.out.send(frame);
    }

    async fn read_frames(self: Arc<Self>, mut read: OwnedReadHalf) {
        let mut buffer = BytesMut::with_capacity(BATCH);
        while matches!(read.read_buf(&mut buffer).await, Ok(1..)) {
            if !self.dispatch_all(&mut buffer) {
                break;
            }
            buffer.reserve(4096);
        }
        self.closed.send_replace(true);
    }

    /// `false` when the peer does not speak the protocol.
    fn dispatch_all(&self, buffer: &mut BytesMut) -> bool {
        loop {
            match frames::take(buffer) {
                Ok(Some(frame)) => {
                    if !self.dispatch(frame) {
                        return false;
                    }
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn dispatch(&self, frame: Frame) -> bool {
        match frame.kind {
            Kind::Answer | Kind::Error => {
                let reply = reply(&frame.meta, frame.kind, frame.body);
                // Nobody may wait any more: the time was up.
                self.pending.close(frame.id, reply);
            }
            Kind::Cancelled => drop(self.pending.close(frame.id, Ok(None))),
            Kind::Pong => drop(self.pongs.send_replace(frame.id)),
            Kind::Hello => {}
            Kind::Specialised => return self.dispatch_specialised(&frame.meta),
            Kind::Specialise | Kind::Request | Kind::Cancel | Kind::Ping => return false,
        }
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

fn request_meta(call: &Call) -> Bytes {
    let json = String::from_utf8(call.event.without_body()).unwrap_or_default();
    // The event was serialised a line above: it is JSON.
    let Ok(event) = RawValue::from_string(json) else { return Bytes::new() };
    let remaining_ms = u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX);
    let meta = RequestMeta { event: &event, request_id: &call.event.request_id, remaining_ms };
    crate::request::ascii_json(&meta).into()
}

fn reply(meta: &[u8], kind: Kind, body: Bytes) -> Reply {
    let nonsense = |error: serde_json::Error| Refusal::malformed(format!("the worker's answer: {error}"));
    if kind == Kind::Answer {
        let AnswerMeta { status, headers } = serde_json::from_slice(meta).map_err(nonsense)?;
        return Ok(Some(Answer { status, headers, body }));
    }
    let error: ErrorMeta = serde_json::from_slice(meta).map_err(nonsense)?;
    Err(match error.kind {
        ErrorKind::Thrown => Refusal::thrown("Runtime.HandlerError", &error.error_type, error.message),
        ErrorKind::Malformed => Refusal::malformed(error.message),
    })
}

/// Writes what is there in as few writes as possible, until the channel is dropped or the socket is closed.
async fn write_frames(
    mut write: OwnedWriteHalf,
    mut frames: mpsc::UnboundedReceiver<Frame>,
) -> io::Result<()> {
    let mut batch = BytesMut::with_capacity(BATCH);
    while let Some(frame) = frames.recv().await {
        let mut next = Some(frame);
        while let Some(frame) = next.take() {
            frame.write_head(&mut batch).map_err(io::Error::other)?;
            if frame.body.len() <= SMALL_BODY {
                batch.extend_from_slice(&frame.body);
            } else {
                write.write_all(&batch).await?;
                batch.clear();
                write.write_all(&frame.body).await?;
            }
            if batch.len() < BATCH {
                next = frames.try_recv().ok();
            }
        }
        write.write_all(&batch).await?;
        batch.clear();
    }
    Ok(())
}
