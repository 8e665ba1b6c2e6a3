//! Output: the worker's lines unaltered on standard output and error, or as records on a log descriptor.
//!
//! One thread writes, so that a slow reader of the logs holds up the worker's output and nothing else.

mod lines;
mod writer;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use contract::instance::LogStream;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use self::lines::Lines;
use self::writer::{From, Item, Line};

/// Lines that may wait for the writer.
const WAITING: usize = 256;
/// How long the last lines may take to be written at the end.
const FLUSH: Duration = Duration::from_secs(1);

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
        std::thread::spawn(move || writer::run(descriptor, items));
        Self { out, level, are_records, running: Arc::default() }
    }

    /// Whether lines go out as records, so that workers say of which request each is.
    #[allow(dead_code, reason = "the worker channel takes it into use with its LOG frames")]
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
    #[allow(dead_code, reason = "the worker channel takes it into use with its LOG frames")]
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

    /// Forwards a process's output until it ends.
    pub(crate) fn forward(&self, stdout: OwnedFd, stderr: OwnedFd) {
        for (descriptor, stream) in [(stdout, LogStream::Stdout), (stderr, LogStream::Stderr)] {
            match Receiver::from_owned_fd(descriptor) {
                Ok(pipe) => drop(tokio::spawn(self.clone().lines(pipe, stream))),
                Err(error) => self.platform(Level::Error, &format!("the worker's output is lost: {error}")),
            }
        }
    }

    async fn lines(self, mut pipe: Receiver, stream: LogStream) {
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

    /// Waits until what was said before is written.
    pub(crate) async fn flush(&self) {
        let (done, written) = std::sync::mpsc::channel();
        if self.out.send_timeout(Item::Flush(done), FLUSH).await.is_ok() {
            // The end of the process: nothing else wants this thread.
            let _ = written.recv_timeout(FLUSH);
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
