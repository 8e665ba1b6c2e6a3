//! Segments: a log's lines in files of a bounded size, each named after the number of its first line. No I/O.

use std::ops::Range;

use super::record::{self, Line};

/// Between two marks of a segment that is written to, in bytes: how far a reader walks at most.
const MARK_EVERY: u64 = 64 << 10;

/// One file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Number of its first line.
    pub(crate) base: u64,
    /// Its bytes on disk.
    pub(crate) bytes: u64,
    /// Whether it is compressed.
    pub(crate) packed: bool,
}

/// Where a line begins in the segment that is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    number: u64,
    offset: u64,
}

/// Marks of the segment that is written to, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks(Vec<Mark>);

impl Segment {
    /// Its file's name.
    pub(crate) fn name(base: u64, packed: bool) -> String {
        format!("{base:016x}.{}", if packed { "zst" } else { "log" })
    }

    /// What a file's name says: number of the first line, and whether it is compressed. `None` for other files.
    pub(crate) fn parse(name: &str) -> Option<(u64, bool)> {
        let (base, packed) = match name.split_once('.')? {
            (base, "log") => (base, false),
            (base, "zst") => (base, true),
            _ => return None,
        };
        Some((super::number_of(base)?, packed))
    }
}

impl Marks {
    /// A line begins there.
    pub(crate) fn add(&mut self, number: u64, offset: u64) {
        if self.0.last().is_none_or(|last| offset >= last.offset + MARK_EVERY) {
            self.0.push(Mark { number, offset });
        }
    }

    /// The last mark not after a line: its number, and where it begins.
    pub(crate) fn before(&self, number: u64) -> Option<(u64, u64)> {
        let at = self.0.partition_point(|mark| mark.number <= number).checked_sub(1)?;
        Some((self.0[at].number, self.0[at].offset))
    }
}

/// What a segment's file holds that may have been cut.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Whole lines.
    pub(crate) count: u64,
    /// Bytes of these; the rest is no use.
    pub(crate) bytes: u64,
    /// Marks.
    pub(crate) marks: Marks,
    /// Time of the first line, in milliseconds.
    pub(crate) since: Option<u64>,
}

/// Looks for the whole lines that the bytes of a segment begin with.
pub(crate) fn recover(base: u64, bytes: &[u8]) -> Recovered {
    let mut found = Recovered { count: 0, bytes: 0, marks: Marks::default(), since: None };
    let mut rest = bytes;
    while let Some((payload, length)) = record::first(rest) {
        if found.count == 0 {
            found.since = record::decode(payload).map(|line| line.time);
        }
        found.marks.add(base + found.count, found.bytes);
        found.count += 1;
        found.bytes += length as u64;
        rest = &rest[length..];
    }
    found
}

/// The lines with these numbers, of bytes that begin with the line `base`; as many as are whole.
pub(crate) fn lines(base: u64, mut bytes: &[u8], wanted: Range<u64>) -> Vec<Option<Line>> {
    let mut found = Vec::new();
    for number in base..wanted.end {
        let Some((payload, length)) = record::first(bytes) else { break };
        if number >= wanted.start {
            found.push(record::decode(payload));
        }
        bytes = &bytes[length..];
    }
    found
}

#[cfg(test)]
mod tests {
    use contract::instance::LogStream;

    use super::*;

    fn segment(count: u64) -> (Vec<u8>, Vec<u64>) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for number in 0..count {
            offsets.push(bytes.len() as u64);
            let line = Line {
                time: 7 + number,
                stream: LogStream::Stdout,
                instance: String::new(),
                request: String::new(),
                part: 0,
                text: format!("line {number} {}", "x".repeat(100)),
            };
            record::encode(&line, &mut bytes);
        }
        (bytes, offsets)
    }

    #[test]
    fn what_was_cut_is_recovered_up_to_the_cut_and_marks_lead_to_their_lines() {
        let (bytes, offsets) = segment(2000);
        let whole = recover(100, &bytes);
        assert_eq!((whole.count, whole.bytes, whole.since), (2000, bytes.len() as u64, Some(7)));
        assert!(whole.marks.0.len() > 3);
        for number in [100, 101, 777, 2099] {
            let (marked, offset) = whole.marks.before(number).unwrap();
            assert!(marked <= number && offsets[(marked - 100) as usize] == offset);
            assert!(offsets[(number - 100) as usize] - offset < MARK_EVERY + 200);
            let found = lines(marked, &bytes[offset as usize..], number..number + 1);
            assert!(found[0].as_ref().unwrap().text.starts_with(&format!("line {} ", number - 100)));
        }
        let cut = recover(100, &bytes[..bytes.len() - 1]);
        assert_eq!((cut.count, cut.bytes), (1999, offsets[1999]));
        assert_eq!(recover(0, &[]).count, 0);
        // What a power cut may leave: room without content.
        assert_eq!(recover(0, &[0; 4096]).count, 0);
    }

    #[test]
    fn a_name_is_read_as_it_is_written_and_others_are_passed_over() {
        for packed in [false, true] {
            assert_eq!(Segment::parse(&Segment::name(77, packed)), Some((77, packed)));
        }
        for name in ["0000000000000001.zst.new", "1.log", "x", "000000000000000g.log"] {
            assert_eq!(Segment::parse(name), None, "{name}");
        }
    }
}
