//! One line on disk: `u32 length, u32 CRC-32, payload`, little endian; length and checksum are the payload's. A record
//! that was cut anywhere is seen by one of the two. No I/O.

use contract::instance::LogStream;

/// Length and checksum.
const HEADER: usize = 8;
/// Bytes of a payload's fixed part: time, stream, part, and the lengths of the two ids.
const FIXED: usize = 15;
/// Most bytes of a line. What the shim sends is less, whatever characters it had to replace.
pub(crate) const TEXT_BYTES: usize = 256 << 10;
/// Most bytes of an id.
const ID_BYTES: usize = 64;
/// Behind a line that was longer.
const CUT: &str = " [cut]";

/// One line of an application's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the Unix epoch.
    pub time: u64,
    /// Who said it.
    pub stream: LogStream,
    /// The instance, where there is one; else empty.
    pub instance: String,
    /// The request, where one is known; else empty.
    pub request: String,
    /// 0 for a whole line or its first part.
    pub part: u32,
    /// The text, without its newline.
    pub text: String,
}

/// Appends the line's record; what is too long is cut, and says so.
pub(crate) fn encode(line: &Line, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    out.extend_from_slice(&line.time.to_le_bytes());
    out.push(stream_code(line.stream));
    out.extend_from_slice(&line.part.to_le_bytes());
    for id in [&line.instance, &line.request] {
        let id = within(id, ID_BYTES);
        // At most `ID_BYTES`.
        out.push(id.len() as u8);
        out.extend_from_slice(id.as_bytes());
    }
    let text = within(&line.text, TEXT_BYTES);
    out.extend_from_slice(text.as_bytes());
    if text.len() < line.text.len() {
        out.extend_from_slice(CUT.as_bytes());
    }
    let payload = start + HEADER;
    // Bounded by the constants above.
    let length = (out.len() - payload) as u32;
    let checksum = crc32fast::hash(&out[payload..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..payload].copy_from_slice(&checksum.to_le_bytes());
}

/// The payload of the record that `bytes` begin with, and the record's whole length; `None` when it is cut or damaged.
pub(crate) fn first(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let [a, b, c, d, checksum @ ..] = *header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let payload = rest.get(..length).filter(|payload| payload.len() >= FIXED)?;
    (crc32fast::hash(payload) == u32::from_le_bytes(checksum)).then_some((payload, HEADER + length))
}

/// The line of a payload; `None` when it is none of ours.
pub(crate) fn decode(payload: &[u8]) -> Option<Line> {
    let (time, rest) = payload.split_first_chunk::<8>()?;
    let (stream, rest) = rest.split_first()?;
    let (part, rest) = rest.split_first_chunk::<4>()?;
    let (instance, rest) = id(rest)?;
    let (request, text) = id(rest)?;
    Some(Line {
        time: u64::from_le_bytes(*time),
        stream: stream_of(*stream)?,
        instance,
        request,
        part: u32::from_le_bytes(*part),
        text: String::from_utf8_lossy(text).into_owned(),
    })
}

fn id(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8_lossy(id).into_owned(), rest))
}

/// As much of a text as fits, in whole characters.
fn within(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn stream_code(stream: LogStream) -> u8 {
    match stream {
        LogStream::Stdout => 1,
        LogStream::Stderr => 2,
        LogStream::Platform => 3,
    }
}

fn stream_of(code: u8) -> Option<LogStream> {
    match code {
        1 => Some(LogStream::Stdout),
        2 => Some(LogStream::Stderr),
        3 => Some(LogStream::Platform),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines() -> impl Strategy<Value = Vec<Line>> {
        let stream = prop_oneof![Just(LogStream::Stdout), Just(LogStream::Stderr), Just(LogStream::Platform)];
        let line = (any::<u64>(), stream, "[a-z0-9-]{0,36}", "[ -~]{0,64}", any::<u32>(), ".{0,80}");
        let line = line.prop_map(|(time, stream, instance, request, part, text)| Line {
            time,
            stream,
            instance,
            request,
            part,
            text,
        });
        prop::collection::vec(line, 1..20)
    }

    /// All lines up to the first record that is not whole.
    fn read(mut bytes: &[u8]) -> Vec<Line> {
        let mut found = Vec::new();
        while let Some((payload, length)) = first(bytes) {
            found.push(decode(payload).unwrap());
            bytes = &bytes[length..];
        }
        found
    }

    proptest! {
        #[test]
        fn a_cut_anywhere_loses_the_tail_alone(lines in lines(), at in any::<prop::sample::Index>()) {
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for line in &lines {
                encode(line, &mut bytes);
                ends.push(bytes.len());
            }
            let at = at.index(bytes.len() + 1);
            let whole = ends.iter().filter(|end| **end <= at).count();
            prop_assert_eq!(read(&bytes[..at]), lines[..whole].to_vec());
        }

        #[test]
        fn a_damaged_byte_is_seen(lines in lines(), at in any::<prop::sample::Index>(), bit in 0..8) {
            let (mut bytes, mut ends) = (Vec::new(), vec![0]);
            for line in &lines {
                encode(line, &mut bytes);
                ends.push(bytes.len());
            }
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let before = ends.iter().filter(|end| **end <= at).count() - 1;
            prop_assert_eq!(read(&bytes), lines[..before].to_vec());
        }

        #[test]
        fn bytes_of_anybody_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = first(&bytes);
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_says_so() {
        let line = Line {
            time: 1,
            stream: LogStream::Stdout,
            instance: "é".repeat(ID_BYTES),
            request: String::new(),
            part: 0,
            text: "é".repeat(TEXT_BYTES),
        };
        let mut bytes = Vec::new();
        encode(&line, &mut bytes);
        let found = read(&bytes).remove(0);
        assert_eq!(found.instance, "é".repeat(ID_BYTES / 2));
        assert_eq!(found.text, "é".repeat(TEXT_BYTES / 2) + CUT);
    }
}
