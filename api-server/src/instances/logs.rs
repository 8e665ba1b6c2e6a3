//! An instance's output into its application's log: the shim's records from its descriptor, a container's lines as
//! they are.

use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use contract::instance::{LogRecord, LogStream};
use tokio::{io::AsyncReadExt as _, net::unix::pipe, task::JoinHandle};

use crate::logs::{Line, Said};

/// Bytes of a line of a container; what is longer comes in parts.
const LINE_BYTES: usize = 16 << 10;
/// Bytes of a record of the shim's; what is longer is not the shim's.
const RECORD_BYTES: usize = 1 << 20;
/// Bytes of the last words that are kept.
const WORDS_BYTES: usize = 2 << 10;
/// Bytes of one read: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// Reads records until the instance closes its end. Must be called inside the runtime.
pub(super) fn follow(descriptor: OwnedFd, said: Said) -> std::io::Result<()> {
    let mut receiver = pipe::Receiver::from_owned_fd(descriptor)?;
    tokio::spawn(async move {
        let mut records = Records::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            said.room().await;
            // An unreadable pipe ends it.
            let Ok(count @ 1..) = receiver.read(&mut buffer).await else { break };
            records.add(&buffer[..count], |lines| said.lines(lines.map(|line| (line, record))));
        }
    });
    Ok(())
}

/// One output of a container, and whose it is.
pub(super) struct Follower {
    pub(super) stream: LogStream,
    pub(super) said: Said,
    /// Where the end of what is said is kept.
    pub(super) words: LastWords,
}

/// Reads plain lines until the instance closes its end. Must be called inside the runtime.
pub(super) fn follow_raw(descriptor: OwnedFd, of: Follower) -> std::io::Result<JoinHandle<()>> {
    let mut receiver = pipe::Receiver::from_owned_fd(descriptor)?;
    Ok(tokio::spawn(async move {
        let (mut lines, mut whole) = (Lines::default(), Vec::new());
        let mut buffer = vec![0; READ_BYTES];
        loop {
            of.said.room().await;
            // An unreadable pipe ends it.
            let Ok(count @ 1..) = receiver.read(&mut buffer).await else { break };
            of.words.add(&buffer[..count]);
            lines.add(&buffer[..count], &mut |part, line| whole.push((part, line.to_vec())));
            of.tell(&whole);
            whole.clear();
        }
        lines.finish(&mut |part, line| whole.push((part, line.to_vec())));
        of.tell(&whole);
    }))
}

impl Follower {
    fn tell(&self, lines: &[(u32, Vec<u8>)]) {
        let stream = self.stream;
        self.said.lines(lines.iter().map(|(part, line)| {
            let read = move |text: &[u8]| Some(plain(stream, *part, &String::from_utf8_lossy(text)));
            (line.as_slice(), read)
        }));
    }
}

/// A line said now.
fn plain(stream: LogStream, part: u32, text: &str) -> Line {
    let time = u64::try_from(crate::store::now_ms()).unwrap_or_default();
    Line { time, stream, instance: String::new(), request: String::new(), part, text: text.to_owned() }
}

/// The line of a record of the shim's.
fn record(bytes: &[u8]) -> Option<Line> {
    // What is no record was not written by the shim: its owner may want to know.
    let Ok(record) = serde_json::from_slice::<LogRecord>(bytes) else {
        return Some(plain(
            LogStream::Platform,
            0,
            "something that is no record was written to the log's descriptor",
        ));
    };
    Some(Line {
        time: record.ts,
        stream: record.stream,
        instance: String::new(),
        request: record.request_id.unwrap_or_default(),
        part: record.part,
        text: record.line,
    })
}

/// Bytes to the lines that records are.
#[derive(Default)]
struct Records {
    open: Vec<u8>,
    /// Whether what comes is the rest of a line that was too long.
    skips: bool,
}

impl Records {
    fn add(&mut self, bytes: &[u8], emit: impl FnOnce(&mut dyn Iterator<Item = &[u8]>)) {
        let Some(last) = memchr::memrchr(b'\n', bytes) else {
            if self.open.len() + bytes.len() <= RECORD_BYTES && !self.skips {
                self.open.extend_from_slice(bytes);
            } else {
                self.skips = true;
            }
            return;
        };
        let (whole, rest) = bytes.split_at(last + 1);
        let first = memchr::memchr(b'\n', whole).unwrap_or(last);
        if self.skips {
            // Of what was too long only that it was there is told.
            self.open.truncate(1);
        } else {
            self.open.extend_from_slice(&whole[..first]);
        }
        let others = whole[first + 1..].split(|byte| *byte == b'\n');
        let mut lines = std::iter::once(self.open.as_slice()).chain(others).filter(|line| !line.is_empty());
        emit(&mut lines);
        self.open.clear();
        self.open.extend_from_slice(rest);
        self.skips = false;
    }
}

/// Bytes to lines, or to parts of lines that are too long.
#[derive(Default)]
struct Lines {
    open: Vec<u8>,
    part: u32,
}

impl Lines {
    fn add(&mut self, bytes: &[u8], emit: &mut impl FnMut(u32, &[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mut text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            while !text.is_empty() {
                if self.open.len() == LINE_BYTES {
                    emit(self.part, &self.open);
                    self.open.clear();
                    self.part += 1;
                }
                let (fits, rest) = text.split_at(text.len().min(LINE_BYTES - self.open.len()));
                self.open.extend_from_slice(fits);
                text = rest;
            }
            if ends {
                emit(self.part, self.open.strip_suffix(b"\r").unwrap_or(&self.open));
                self.open.clear();
                self.part = 0;
            }
        }
    }

    fn finish(&mut self, emit: &mut impl FnMut(u32, &[u8])) {
        if !self.open.is_empty() {
            emit(self.part, &self.open);
        }
    }
}

/// The end of what an instance said, for whoever has to tell why it did not start.
#[derive(Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<VecDeque<u8>>>);

impl LastWords {
    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&bytes[bytes.len().saturating_sub(WORDS_BYTES)..]);
        let over = kept.len().saturating_sub(WORDS_BYTES);
        kept.drain(..over);
    }

    /// What is kept, as text.
    pub(super) fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut emit = |part, line: &[u8]| found.push((part, String::from_utf8_lossy(line).into_owned()));
        pieces.iter().for_each(|piece| lines.add(piece, &mut emit));
        lines.finish(&mut emit);
        found
    }

    #[test]
    fn lines_are_what_they_were_however_they_come() {
        let expected: Vec<_> = ["one", "", "two", "three"].map(|line| (0, line.to_owned())).into();
        assert_eq!(lines(&[b"one\n\ntwo\r\nthree"]), expected);
        assert_eq!(lines(&[b"o", b"ne\n", b"\ntw", b"o\r", b"\n", b"three"]), expected);
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn a_line_without_an_end_comes_in_parts() {
        let long = vec![b'x'; 2 * LINE_BYTES + 1];
        let found: Vec<_> =
            lines(&[&long, b"\nnext"]).iter().map(|(part, line)| (*part, line.len())).collect();
        assert_eq!(found, [(0, LINE_BYTES), (1, LINE_BYTES), (2, 1), (0, 4)]);
    }

    fn records(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut found, mut records) = (Vec::new(), Records::default());
        for piece in pieces {
            records.add(piece, |lines| found.extend(lines.map(<[u8]>::to_vec)));
        }
        found
    }

    #[test]
    fn records_are_what_they_were_however_they_come() {
        let expected = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        assert_eq!(records(&[b"one\ntwo\nthree\n"]), expected);
        assert_eq!(records(&[b"o", b"ne", b"\n", b"two\nth", b"ree\n", b"never ended"]), expected);
    }

    #[test]
    fn a_record_of_any_length_takes_bounded_memory_and_the_next_one_is_read() {
        let (long, mut records, mut found) = (vec![b'x'; READ_BYTES], Records::default(), Vec::new());
        for _ in 0..100 {
            records.add(&long, |_| panic!("it has no end yet"));
            assert!(records.open.len() <= RECORD_BYTES);
        }
        records.add(b"end\nnext\n", |lines| found.extend(lines.map(<[u8]>::to_vec)));
        assert_eq!(found, [b"x".to_vec(), b"next".to_vec()]);
    }

    #[test]
    fn the_last_words_are_the_end_of_what_was_said() {
        let words = LastWords::default();
        words.add(b"begin\n");
        words.add(&vec![b'x'; 3 * WORDS_BYTES]);
        words.add(b"\nthe end\n");
        let text = words.text();
        assert!(text.ends_with("x\nthe end") && text.len() < WORDS_BYTES, "{}", text.len());
    }
}
