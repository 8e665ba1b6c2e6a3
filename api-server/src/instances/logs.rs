//! An instance's output into the server's log: the shim's records from its descriptor, a container's lines as they are.

use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use contract::instance::{LogRecord, LogStream};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::unix::pipe,
    task::JoinHandle,
};

/// Bytes of a line of a container; what is longer comes in parts.
const LINE_BYTES: usize = 16 << 10;
/// Bytes of the last words that are kept.
const WORDS_BYTES: usize = 2 << 10;

/// Reads records until the instance closes its end. Must be called inside the runtime.
pub(super) fn follow(descriptor: OwnedFd, function: String, instance: String) -> std::io::Result<()> {
    let receiver = pipe::Receiver::from_owned_fd(descriptor)?;
    tokio::spawn(async move {
        let mut lines = BufReader::new(receiver).lines();
        // An unreadable line is passed over; an unreadable pipe ends it.
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(record) => tell(&record, &function, &instance),
                Err(error) => tracing::warn!(instance.id = %instance, %error, "a log record can't be read"),
            }
        }
    });
    Ok(())
}

/// One output of a container, and whose it is.
pub(super) struct Follower {
    pub(super) stream: LogStream,
    pub(super) function: String,
    pub(super) instance: String,
    /// Where the end of what is said is kept.
    pub(super) words: LastWords,
}

/// Reads plain lines until the instance closes its end. Must be called inside the runtime.
pub(super) fn follow_raw(descriptor: OwnedFd, of: Follower) -> std::io::Result<JoinHandle<()>> {
    let mut receiver = pipe::Receiver::from_owned_fd(descriptor)?;
    Ok(tokio::spawn(async move {
        let mut lines = Lines::default();
        let mut buffer = [0; 8 << 10];
        // An unreadable pipe ends it.
        while let Ok(count @ 1..) = receiver.read(&mut buffer).await {
            of.words.add(&buffer[..count]);
            lines.add(&buffer[..count], &mut |part, line| of.tell(part, line));
        }
        lines.finish(&mut |part, line| of.tell(part, line));
    }))
}

impl Follower {
    fn tell(&self, part: u32, line: &[u8]) {
        let record = LogRecord {
            ts: u64::try_from(crate::store::now_ms()).unwrap_or_default(),
            stream: self.stream,
            request_id: None,
            part,
            line: String::from_utf8_lossy(line).into_owned(),
        };
        tell(&record, &self.function, &self.instance);
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
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            for byte in text {
                if self.open.len() == LINE_BYTES {
                    emit(self.part, &self.open);
                    self.open.clear();
                    self.part += 1;
                }
                self.open.push(*byte);
            }
            if ends {
                emit(self.part, self.open.strip_suffix(b"\r").unwrap_or(&self.open));
                (self.open, self.part) = (Vec::new(), 0);
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

fn tell(record: &LogRecord, function: &str, instance: &str) {
    let stream = match record.stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Platform => "platform",
    };
    let request = record.request_id.as_deref().unwrap_or_default();
    tracing::info!(
        application.id = %function, instance.id = %instance, stream, request.id = %request, "{}", record.line
    );
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
