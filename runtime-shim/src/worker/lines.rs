//! LOG frames on their way to the writer of the logs. They have room of their own, so that a reader of the logs
//! that is slow, or gone for lunch, does not hold up the answers that come through the same socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::instance::LogStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::init::logs::{Level, Logs};

/// Bytes that may wait.
const ROOM: u32 = 4 << 20;
/// How long the socket is not read for want of room, before lines are dropped.
const STANDSTILL: Duration = Duration::from_secs(1);

struct Lines {
    request_id: Option<String>,
    stream: LogStream,
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The way in; what waits is still written after it was dropped.
pub(super) struct Queue {
    logs: Logs,
    waiting: mpsc::UnboundedSender<Lines>,
    room: Arc<Semaphore>,
    /// Frames that were dropped since the reader of the logs stopped.
    dropped: u64,
}

impl Queue {
    pub(super) fn start(logs: &Logs) -> Self {
        let (waiting, mut lines) = mpsc::unbounded_channel::<Lines>();
        let writer = logs.clone();
        let source = logs.source();
        tokio::spawn(async move {
            while let Some(Lines { request_id, stream, bytes, _room }) = lines.recv().await {
                writer.worker_lines(request_id.as_deref(), stream, bytes).await;
            }
            drop(source);
        });
        Self { logs: logs.clone(), waiting, room: Arc::new(Semaphore::new(ROOM as usize)), dropped: 0 }
    }

    /// Waits for room a while, once; as long as there is none after that, lines are dropped.
    pub(super) async fn push(&mut self, request_id: Option<String>, stream: LogStream, bytes: Bytes) {
        let needed = u32::try_from(bytes.len()).unwrap_or(ROOM).min(ROOM);
        let patience = if self.dropped == 0 { STANDSTILL } else { Duration::ZERO };
        let room = timeout(patience, self.room.clone().acquire_many_owned(needed)).await;
        let Ok(Ok(room)) = room else {
            self.dropped += 1;
            return;
        };
        match std::mem::take(&mut self.dropped) {
            0 => {}
            dropped => {
                let line = format!("the logs were not read: {dropped} times the worker's lines were dropped");
                self.logs.platform(Level::Warn, &line);
            }
        }
        // Its receiver lives until the last line is written.
        let _ = self.waiting.send(Lines { request_id, stream, bytes, _room: room });
    }
}
