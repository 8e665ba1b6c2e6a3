//! A stream of bytes becomes lines, and very long lines become parts. Pure.

use bytes::{Bytes, BytesMut};

/// Longest part of a line, in bytes.
pub(super) const LONGEST_PART: usize = 64 << 10;

/// What has come and is not yet a line.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) buffer: BytesMut,
    part: u32,
    scanned: usize,
}

impl Lines {
    /// The next part with its number, newline included where there was one. With `ended`, what is left is a line
    /// too.
    pub(super) fn next(&mut self, ended: bool) -> Option<(u32, Bytes)> {
        // A line that ends further on comes in parts: looking for its end with each of them would take for ever.
        let within = self.buffer.len().min(LONGEST_PART + 1);
        let newline = self.buffer[self.scanned..within].iter().position(|byte| *byte == b'\n');
        let (length, whole) = match newline {
            Some(at) => (self.scanned + at + 1, true),
            _ if self.buffer.len() > LONGEST_PART => (LONGEST_PART, false),
            _ if ended && !self.buffer.is_empty() => (self.buffer.len(), true),
            _ => {
                self.scanned = within;
                return None;
            }
        };
        self.scanned = 0;
        let part = self.part;
        self.part = if whole { 0 } else { part + 1 };
        Some((part, self.buffer.split_to(length).freeze()))
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
}
