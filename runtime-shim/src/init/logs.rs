//! Output: the worker's lines unaltered on standard output and error, or as records on a log descriptor.
//!
//! One thread writes, so that a slow reader of the logs holds up the worker's output and nothing else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use contract::instance::{LogRecord, LogStream};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use crate::request::clock::epoch_ms;

/// Longest part of a line, in bytes; a longer line comes in parts.
const LONGEST_PART: usize = 64 << 10;
/// Lines that may wait for the writer.
const WAITING: usize = 256;
/// How long the last lines may take to be written at the end.
const FLUSH: Duration = Duration::from_secs(1);

/// The shim's own lines, from the gravest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

enum Item {
    Line { stream: LogStream, request_id: Option<String>, part: u32, bytes: Bytes },
    Flush(std::sync::mpsc::Sender<()>),
}

/// Where lines go.
enum Sink {
    Raw,
    Records(File),
}

/// The way to the writer; cheap to clone.
#[derive(Clone)]
pub(crate) struct Logs {
    out: mpsc::Sender<Item>,
    level: Level,
    running: Arc<Mutex<Requests>>,
}

/// Which request a line belongs to: the only one that runs, or that ran last with no other beside it.
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
        let sink = descriptor.map_or(Sink::Raw, |descriptor| Sink::Records(descriptor.into()));
        std::thread::spawn(move || write_all(sink, items));
        Self { out, level, running: Arc::default() }
    }

    /// One line of the shim's own. Dropped when the writer is that far behind.
    pub(crate) fn platform(&self, level: Level, line: &str) {
        if level <= self.level {
            let bytes = Bytes::from(format!("{line}\n"));
            let request_id = self.request_id();
            let _ = self.out.try_send(Item::Line { stream: LogStream::Platform, request_id, part: 0, bytes });
        }
    }

    /// Marks a request as running.
    pub(crate) fn scope(&self, request_id: &str) -> Scope {
        let mut requests = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        requests.overlapped = requests.running > 0;
        requests.running += 1;
        requests.last = Some(request_id.to_owned());
        Scope(self.running.clone())
    }

    fn request_id(&self) -> Option<String> {
        let requests = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        requests.last.clone().filter(|_| !requests.overlapped)
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
                let item = Item::Line { stream, request_id: self.request_id(), part, bytes };
                if self.out.send(item).await.is_err() {
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

/// Cuts a stream of bytes into lines, and very long ones into parts. Pure.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    part: u32,
    scanned: usize,
}

impl Lines {
    /// The next part, newline included where there was one. With `ended`, what is left is a line too.
    fn next(&mut self, ended: bool) -> Option<(u32, Bytes)> {
        let newline = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n');
        let end = newline.map(|at| self.scanned + at + 1);
        let (length, whole) = match end {
            Some(end) if end <= LONGEST_PART + 1 => (end, true),
            _ if self.buffer.len() > LONGEST_PART => (LONGEST_PART, false),
            _ if ended && !self.buffer.is_empty() => (self.buffer.len(), true),
            _ => {
                self.scanned = self.buffer.len();
                return None;
            }
        };
        self.scanned = 0;
        let part = self.part;
        self.part = if whole { 0 } else { part + 1 };
        Some((part, self.buffer.split_to(length).freeze()))
    }
}

fn write_all(mut sink: Sink, mut items: mpsc::Receiver<Item>) {
    while let Some(item) = items.blocking_recv() {
        match item {
            // A reader that is gone loses lines; the function goes on.
            Item::Line { stream, request_id, part, bytes } => {
                let _ = write(&mut sink, stream, request_id, part, &bytes);
            }
            Item::Flush(done) => drop(done.send(())),
        }
    }
}

fn write(
    sink: &mut Sink,
    stream: LogStream,
    request_id: Option<String>,
    part: u32,
    bytes: &[u8],
) -> io::Result<()> {
    match (sink, stream) {
        (Sink::Records(file), _) => {
            let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let line = String::from_utf8_lossy(text).into_owned();
            let record = LogRecord { ts: epoch_ms(SystemTime::now()), stream, request_id, part, line };
            let mut json = serde_json::to_vec(&record)?;
            json.push(b'\n');
            file.write_all(&json)
        }
        (Sink::Raw, LogStream::Stdout) => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        }
        (Sink::Raw, LogStream::Stderr) => io::stderr().lock().write_all(bytes),
        (Sink::Raw, LogStream::Platform) => {
            let mut stderr = io::stderr().lock();
            stderr.write_all(b"zipship-shim: ")?;
            stderr.write_all(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_long_ones_in_parts() {
        let mut lines = Lines::default();
        lines.buffer.extend_from_slice(b"one\ntw");
        assert_eq!(lines.next(false), Some((0, Bytes::from_static(b"one\n"))));
        assert_eq!(lines.next(false), None);
        lines.buffer.extend_from_slice(b"o\n");
        assert_eq!(lines.next(false), Some((0, Bytes::from_static(b"two\n"))));
        lines.buffer.extend_from_slice(&vec![b'x'; LONGEST_PART + 5]);
        let (part, bytes) = lines.next(false).expect("a part");
        assert_eq!((part, bytes.len()), (0, LONGEST_PART));
        assert_eq!(lines.next(false), None);
        lines.buffer.extend_from_slice(b"\nlast");
        assert_eq!(lines.next(false), Some((1, Bytes::from_static(b"xxxxx\n"))));
        assert_eq!(lines.next(true), Some((0, Bytes::from_static(b"last"))));
        assert_eq!(lines.next(true), None);
    }

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
