//! The writing half of the channel: what is there goes out in as few writes as possible, and it is known which
//! requests the worker can have read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use tokio::sync::mpsc;

use super::Channel;
use super::frames::{Frame, Kind};
use super::socket::WriteHalf;

/// Bodies up to this size are copied behind their head, so that one write carries both.
const SMALL_BODY: usize = 16 << 10;
/// Bytes that are gathered before a write.
const BATCH: usize = 64 << 10;

/// Writes until the socket is closed.
pub(super) async fn write_frames(
    channel: Arc<Channel>,
    mut write: WriteHalf,
    mut frames: mpsc::UnboundedReceiver<Frame>,
) {
    let mut batch = Batch::default();
    while let Some(first) = frames.recv().await {
        let mut next = Some(first);
        while let Some(frame) = next.take() {
            if batch.add(&frame).is_err() {
                return;
            }
            let is_large = frame.body.len() > SMALL_BODY;
            if !is_large && batch.bytes.len() < BATCH {
                next = frames.try_recv().ok();
            }
            if next.is_none() && batch.write(&mut write, &channel).await.is_err() {
                return;
            }
            if is_large {
                channel.ends_with_request.store(false, Ordering::Relaxed);
                if write.write_all(&frame.body).await.is_err() {
                    return;
                }
                let is_request = frame.kind == Kind::Request;
                channel.ends_with_request.store(is_request, Ordering::Relaxed);
                channel.pending.sent(u64::from(is_request));
                next = frames.try_recv().ok();
            }
        }
    }
}

#[derive(Default)]
struct Batch {
    bytes: BytesMut,
    /// Where each whole request ends.
    ends: Vec<usize>,
}

impl Batch {
    fn add(&mut self, frame: &Frame) -> io::Result<()> {
        frame.write_head(&mut self.bytes).map_err(io::Error::other)?;
        if frame.body.len() <= SMALL_BODY {
            self.bytes.extend_from_slice(&frame.body);
            if frame.kind == Kind::Request {
                self.ends.push(self.bytes.len());
            }
        }
        Ok(())
    }

    /// Writes all of it. A request counts as sent as soon as its last byte is out, whatever becomes of the rest.
    async fn write(&mut self, write: &mut WriteHalf, channel: &Channel) -> io::Result<()> {
        let (mut written, mut whole) = (0, 0);
        while written < self.bytes.len() {
            match write.write(&self.bytes[written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                now => written += now,
            }
            let before = whole;
            whole += self.ends[whole..].iter().take_while(|end| **end <= written).count();
            let ends_with_request = whole > 0 && self.ends[whole - 1] == written;
            channel.ends_with_request.store(ends_with_request, Ordering::Relaxed);
            if whole > before {
                channel.pending.sent((whole - before) as u64);
            }
        }
        self.bytes.clear();
        self.ends.clear();
        Ok(())
    }
}
