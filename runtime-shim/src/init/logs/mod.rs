//! Output: the worker's lines unaltered on standard output and error, or as records on a log descriptor.
//!
//! One thread writes, so that a slow reader of the logs holds up the worker's output and nothing else.

mod lines;
mod writer;

use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use contract::instance::LogStream;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, oneshot, watch};

use self::lines::Lines;
use self::writer::{From, Item, Line};

/// Lines that may wait for the writer.
const WAITING: usize = 256;
/// At the end, how long nothing may move before the last lines are given up.
const STANDSTILL: Duration = Duration::from_secs(1);

/// The shim's own lines, from the gravest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// The way to the writer; cheap to clone.
#[derive(Clone)]
pub(crate) struct Logs {
    out: mpsc::Sender<Item>,
    level: Level,
    are_records: bool,
    running: Arc<Mutex<Requests>>,
    /// Sources of lines that have not ended.
    open: Arc<watch::Sender<usize>>,
    /// Lines that the writer has taken.
    handled: Arc<AtomicU64>,
}

/// Something that lines come from, until dropped.
pub(crate) struct Source(Arc<watch::Sender<usize>>);

impl Drop for Source {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Which request a line of a pipe belongs to: the only one that runs, or that ran last with no other beside it.
#[derive(Default)]
struct Requests {
    running: usize,
    overlapped: bool,
    last: Option<String>,
}

/// A request that runs, until dropped.
pub(crate) struct Scope(Arc<Mutex<Requests>>);

impl Drop for Scope {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
    }
}

impl Logs {
    /// Starts the writer.
    pub(crate) fn start(descriptor: Option<OwnedFd>, level: Level) -> Self {
        let (out, items) = mpsc::channel(WAITING);
        let are_records = descriptor.is_some();
        let handled = Arc::<AtomicU64>::default();
        let count = handled.clone();
        std::thread::spawn(move || writer::run(descriptor, items, &count));
        let open = Arc::new(watch::Sender::new(0));
        Self { out, level, are_records, running: Arc::default(), open, handled }
    }

    /// Whether lines go out as records, so that workers say of which request each is.
    pub(crate) fn are_records(&self) -> bool {
        self.are_records
    }

    /// Whether lines of this level are wanted.
    pub(crate) fn wants(&self, level: Level) -> bool {
        level <= self.level
    }

    /// One line of the shim's own. Dropped when the writer is that far behind.
    pub(crate) fn platform(&self, level: Level, line: &str) {
        if self.wants(level) {
            self.own(level, self.request_id(), line);
        }
    }

    /// One line of the shim's own about a certain request.
    pub(crate) fn of_request(&self, level: Level, request_id: &str, line: &str) {
        if self.wants(level) {
            self.own(level, Some(request_id.to_owned()), line);
        }
    }

    fn own(&self, level: Level, request_id: Option<String>, line: &str) {
        let bytes = Bytes::from(format!("{line}\n"));
        let _ = self.out.try_send(Item::Line(Line { from: From::Shim(level), request_id, part: 0, bytes }));
    }

    /// Marks a request as running.
    pub(crate) fn scope(&self, request_id: &str) -> Scope {
        let mut requests = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        requests.overlapped = requests.running > 0;
        requests.running += 1;
        match &mut requests.last {
            Some(last) => request_id.clone_into(last),
            none => *none = Some(request_id.to_owned()),
        }
        Scope(self.running.clone())
    }

    fn request_id(&self) -> Option<String> {
        let requests = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.overlapped { None } else { requests.last.clone() }
    }

    /// Lines that the worker says belong to a request. Waits while the writer is behind: the worker is held up
    /// then, as it would be by a full pipe.
    pub(crate) async fn worker_lines(&self, request_id: Option<&str>, stream: LogStream, bytes: Bytes) {
        let mut lines = Lines::default();
        lines.buffer.extend_from_slice(&bytes);
        while let Some((part, bytes)) = lines.next(true) {
            let request_id = request_id.map(str::to_owned);
            let line = Line { from: From::Worker(stream), request_id, part, bytes };
            if self.out.send(Item::Line(line)).await.is_err() {
                return;
            }
        }
    }

    /// Lines may come until the value is dropped: the end waits for them.
    pub(crate) fn source(&self) -> Source {
        self.open.send_modify(|open| *open += 1);
        Source(self.open.clone())
    }

    /// Forwards a process's output until it ends.
    pub(crate) fn forward(&self, stdout: OwnedFd, stderr: OwnedFd) {
        for (descriptor, stream) in [(stdout, LogStream::Stdout), (stderr, LogStream::Stderr)] {
            match Receiver::from_owned_fd(descriptor) {
                Ok(pipe) => drop(tokio::spawn(self.clone().lines(pipe, stream, self.source()))),
                Err(error) => self.platform(Level::Error, &format!("the worker's output is lost: {error}")),
            }
        }
    }

    async fn lines(self, pipe: Receiver, stream: LogStream, source: Source) {
        self.read_lines(pipe, stream).await;
        drop(source);
    }

    async fn read_lines(&self, mut pipe: Receiver, stream: LogStream) {
        let mut lines = Lines::default();
        loop {
            let read = pipe.read_buf(&mut lines.buffer).await;
            let ended = !matches!(read, Ok(1..));
            while let Some((part, bytes)) = lines.next(ended) {
                let request_id = self.request_id();
                let line = Line { from: From::Worker(stream), request_id, part, bytes };
                if self.out.send(Item::Line(line)).await.is_err() {
                    return;
                }
            }
            if ended {
                return;
            }
        }
    }

    /// Waits until what a worker that has ended said is written, for as long as lines move.
    pub(crate) async fn flush(&self) {
        let end = async {
            let mut open = self.open.subscribe();
            // The sender lives as long as `self`.
            let _ = open.wait_for(|open| *open == 0).await;
            let (done, written) = oneshot::channel();
            if self.out.send(Item::Flush(done)).await.is_ok() {
                // The writer is gone only when it panicked: nothing to wait for.
                let _ = written.await;
            }
        };
        let mut end = pin!(end);
        loop {
            let before = self.handled.load(Ordering::Relaxed);
            let is_done = tokio::time::timeout(STANDSTILL, &mut end).await.is_ok();
            if is_done || self.handled.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_belongs_to_the_only_request_that_runs() {
        let logs = Logs::start(None, Level::Error);
        assert_eq!(logs.request_id(), None);
        let first = logs.scope("a");
        assert_eq!(logs.request_id().as_deref(), Some("a"));
        let second = logs.scope("b");
        assert_eq!(logs.request_id(), None);
        drop((first, second));
        assert_eq!(logs.request_id(), None);
        drop(logs.scope("c"));
        assert_eq!(logs.request_id().as_deref(), Some("c"));
    }
}
