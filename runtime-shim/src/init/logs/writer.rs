//! The thread that writes: as many lines a system call as wait, raw or as records.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use contract::instance::{LogRecord, LogStream};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::Level;
use crate::request::clock::epoch_ms;

/// Bytes that are gathered before they are written.
const BATCH: usize = 64 << 10;

/// One line, or a part of one, on its way out.
pub(super) struct Line {
    pub(super) from: From,
    pub(super) request_id: Option<String>,
    pub(super) part: u32,
    /// With the newline, where there was one.
    pub(super) bytes: Bytes,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Worker(LogStream),
    Shim(Level),
}

pub(super) enum Item {
    Line(Line),
    Flush(oneshot::Sender<()>),
}

/// The shim's own line where there is no log descriptor: JSON on standard error.
#[derive(Serialize)]
struct Own<'a> {
    /// Milliseconds since the Unix epoch.
    ts: u64,
    level: Level,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    message: &'a str,
}

/// Writes until every sender is gone, and counts the lines in `handled`. A reader that is gone loses lines; the function goes on.
pub(super) fn run(descriptor: Option<OwnedFd>, mut items: mpsc::Receiver<Item>, handled: &AtomicU64) {
    let mut out: Box<dyn Sink> = match descriptor {
        Some(descriptor) => Box::new(Records { file: descriptor.into(), waiting: Vec::new() }),
        None => Box::<Raw>::default(),
    };
    while let Some(item) = items.blocking_recv() {
        let mut next = Some(item);
        while let Some(item) = next {
            match item {
                Item::Line(line) => {
                    out.add(&line);
                    handled.fetch_add(1, Ordering::Relaxed);
                }
                Item::Flush(done) => {
                    out.write();
                    // Nobody waits any more when it took too long.
                    let _ = done.send(());
                }
            }
            next = items.try_recv().ok();
        }
        out.write();
    }
}

trait Sink {
    fn add(&mut self, line: &Line);
    fn write(&mut self);
}

fn write_batch(out: &mut impl Write, waiting: &mut Vec<u8>) {
    let _ = out.write_all(waiting).and_then(|()| out.flush());
    waiting.clear();
}

/// Records on the log descriptor.
struct Records {
    file: File,
    waiting: Vec<u8>,
}

impl Sink for Records {
    fn add(&mut self, line: &Line) {
        let text = line.bytes.strip_suffix(b"\n").unwrap_or(&line.bytes);
        let stream = match line.from {
            From::Worker(stream) => stream,
            From::Shim(_) => LogStream::Platform,
        };
        let record = LogRecord {
            ts: epoch_ms(SystemTime::now()),
            stream,
            request_id: line.request_id.clone(),
            part: line.part,
            line: String::from_utf8_lossy(text).into_owned(),
        };
        // A record of plain values always becomes JSON, and memory takes it.
        let _ = serde_json::to_writer(&mut self.waiting, &record);
        self.waiting.push(b'\n');
        if self.waiting.len() >= BATCH {
            self.write();
        }
    }

    fn write(&mut self) {
        write_batch(&mut self.file, &mut self.waiting);
    }
}

/// The worker's bytes unaltered on standard output and error.
#[derive(Default)]
struct Raw {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Sink for Raw {
    fn add(&mut self, line: &Line) {
        match line.from {
            From::Worker(LogStream::Stdout) => self.stdout.extend_from_slice(&line.bytes),
            From::Worker(_) => self.stderr.extend_from_slice(&line.bytes),
            From::Shim(level) => {
                let text = String::from_utf8_lossy(&line.bytes);
                let own = Own {
                    ts: epoch_ms(SystemTime::now()),
                    level,
                    source: "zipship-shim",
                    request_id: line.request_id.as_deref(),
                    message: text.trim_end_matches('\n'),
                };
                // As above.
                let _ = serde_json::to_writer(&mut self.stderr, &own);
                self.stderr.push(b'\n');
            }
        }
        if self.stdout.len() + self.stderr.len() >= BATCH {
            self.write();
        }
    }

    fn write(&mut self) {
        if !self.stdout.is_empty() {
            write_batch(&mut io::stdout().lock(), &mut self.stdout);
        }
        if !self.stderr.is_empty() {
            write_batch(&mut io::stderr().lock(), &mut self.stderr);
        }
    }
}
