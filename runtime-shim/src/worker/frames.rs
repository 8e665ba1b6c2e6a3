//! The frame codec: bytes to frames and back, no I/O. `PROTOCOL.md` is its description, `golden/frames.json` its proof.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes before meta: length, type, flags, zero, id, length of meta.
pub(crate) const HEAD: usize = 16;
/// What the length field counts of the head: all of it but itself.
const COUNTED_HEAD: usize = HEAD - 4;
/// Most meta that is accepted, in bytes: an event's headers, or a traceback.
const LONGEST_META: usize = 16 << 20;
/// Longest frame that is accepted, in bytes: no function has more memory to make an answer in.
const LONGEST_FRAME: usize = 1 << 30;
/// Room for a frame up to this size is made in one go; a longer one has to come before it costs memory.
const MADE_AT_ONCE: usize = 64 << 20;

/// Body bytes of a streamed answer that a worker may send before it is given more.
pub(crate) const WINDOW: usize = 256 << 10;

/// REQUEST: the body is valid UTF-8.
pub(crate) const FLAG_TEXT: u8 = 1;
/// CANCEL: the time is up, the caller has its answer: let go. Without it only the caller has gone.
pub(crate) const FLAG_TIMED_OUT: u8 = 1;
/// ERROR and END: the process is no longer sound. It finishes what it holds; new requests go to another.
pub(crate) const FLAG_REPLACE: u8 = 1;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Hello = 1,
    Specialise = 2,
    Specialised = 3,
    Request = 4,
    Answer = 5,
    Error = 6,
    Cancel = 7,
    Cancelled = 8,
    Ping = 9,
    Pong = 10,
    Head = 11,
    Data = 12,
    End = 13,
    Credit = 14,
    Log = 15,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Hello,
        Self::Specialise,
        Self::Specialised,
        Self::Request,
        Self::Answer,
        Self::Error,
        Self::Cancel,
        Self::Cancelled,
        Self::Ping,
        Self::Pong,
        Self::Head,
        Self::Data,
        Self::End,
        Self::Credit,
        Self::Log,
    ];

    fn from_number(number: u8) -> Option<Self> {
        // Numbers start at 1 and have no gap.
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) id: u32,
    /// ASCII JSON, or nothing.
    pub(crate) meta: Bytes,
    pub(crate) body: Bytes,
}

impl Frame {
    /// A frame without meta and body.
    pub(crate) fn bare(kind: Kind, flags: u8, id: u32) -> Self {
        Self { kind, flags, id, meta: Bytes::new(), body: Bytes::new() }
    }

    /// Appends the head and meta; the body follows on the wire.
    pub(crate) fn write_head(&self, out: &mut BytesMut) -> Result<(), FrameError> {
        let counted = COUNTED_HEAD + self.meta.len() + self.body.len();
        let length = u32::try_from(counted).map_err(|_| FrameError::TooLong(counted))?;
        let meta = u32::try_from(self.meta.len()).map_err(|_| FrameError::TooLong(counted))?;
        out.put_u32_le(length);
        out.put_u8(self.kind as u8);
        out.put_u8(self.flags);
        out.put_u16_le(0);
        out.put_u32_le(self.id);
        out.put_u32_le(meta);
        out.put_slice(&self.meta);
        Ok(())
    }
}

/// A peer that does not speak the protocol. It is not spoken to again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes does not fit its length field")]
    TooLong(usize),
    #[error("a frame of unknown type {0}")]
    UnknownKind(u8),
    #[error("a frame whose lengths contradict each other: {length} with meta {meta}")]
    Lengths { length: usize, meta: usize },
}

/// Takes one frame from the front of `buffer`, or nothing when it is not whole yet (space for it is reserved).
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(mut head) = buffer.get(..HEAD) else { return Ok(None) };
    let length = head.get_u32_le() as usize;
    let number = head.get_u8();
    let flags = head.get_u8();
    let _zero = head.get_u16_le();
    let id = head.get_u32_le();
    let meta = head.get_u32_le() as usize;
    let kind = Kind::from_number(number).ok_or(FrameError::UnknownKind(number))?;
    if length < COUNTED_HEAD || meta > length - COUNTED_HEAD || meta > LONGEST_META || length > LONGEST_FRAME
    {
        return Err(FrameError::Lengths { length, meta });
    }
    let whole = length + 4;
    if buffer.len() < whole {
        let missing = whole - buffer.len();
        buffer.reserve(if whole > MADE_AT_ONCE { missing.min(buffer.len().max(HEAD)) } else { missing });
        return Ok(None);
    }
    let mut frame = buffer.split_to(whole).freeze();
    frame.advance(HEAD);
    let meta = frame.split_to(meta);
    Ok(Some(Frame { kind, flags, id, meta, body: frame }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len()).step_by(2).map(digit).collect()
    }

    fn wire(frame: &Frame) -> Vec<u8> {
        let mut out = BytesMut::new();
        frame.write_head(&mut out).expect("short");
        out.put_slice(&frame.body);
        out.to_vec()
    }

    #[test]
    fn the_golden_frames_both_ways() {
        let golden: Vec<Value> =
            serde_json::from_str(include_str!("../../golden/frames.json")).expect("golden file");
        assert_eq!(golden.len(), Kind::ALL.len() + 3);
        for case in golden {
            let text = |key: &str| case[key].as_str().expect("text").to_owned();
            let number = |key: &str| case[key].as_u64().expect("number");
            let frame = Frame {
                kind: Kind::from_number(u8::try_from(number("type")).expect("u8")).expect("known"),
                flags: u8::try_from(number("flags")).expect("u8"),
                id: u32::try_from(number("id")).expect("u32"),
                meta: text("meta").into_bytes().into(),
                body: hex(&text("body")).into(),
            };
            assert_eq!(wire(&frame), hex(&text("wire")), "{}", text("name"));
            let mut buffer = BytesMut::from(&hex(&text("wire"))[..]);
            assert_eq!(take(&mut buffer), Ok(Some(frame)), "{}", text("name"));
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut unknown = BytesMut::from(&wire(&Frame::bare(Kind::Ping, 0, 1))[..]);
        unknown[4] = 99;
        assert_eq!(take(&mut unknown), Err(FrameError::UnknownKind(99)));
        let mut lengths = BytesMut::from(&wire(&Frame::bare(Kind::Ping, 0, 1))[..]);
        lengths[12] = 1;
        assert_eq!(take(&mut lengths), Err(FrameError::Lengths { length: 12, meta: 1 }));
        let mut long = BytesMut::from(&wire(&Frame::bare(Kind::Ping, 0, 1))[..]);
        long[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(take(&mut long), Err(FrameError::Lengths { .. })));
    }

    #[test]
    fn every_kind_has_its_number() {
        for (number, kind) in (1_u8..).zip(Kind::ALL) {
            assert_eq!((kind as u8, Kind::from_number(number)), (number, Some(kind)));
        }
        assert_eq!((Kind::from_number(0), Kind::from_number(16)), (None, None));
    }

    #[test]
    fn a_long_frame_costs_memory_as_it_comes() {
        let mut head = BytesMut::with_capacity(HEAD);
        head.put_u32_le(u32::try_from(LONGEST_FRAME).expect("u32"));
        head.put_u8(Kind::Answer as u8);
        head.put_slice(&[0; HEAD - 5]);
        assert_eq!(take(&mut head), Ok(None));
        assert!(head.capacity() < 4096, "{}", head.capacity());
    }

    proptest! {
        #[test]
        fn frames_survive_any_split(
            frames in prop::collection::vec((1_u8..=15, any::<u8>(), any::<u32>(), "[ -~]{0,40}", prop::collection::vec(any::<u8>(), 0..80)), 1..6),
            step in 1_usize..50,
        ) {
            let frames: Vec<Frame> = frames
                .into_iter()
                .map(|(kind, flags, id, meta, body)| Frame {
                    kind: Kind::from_number(kind).expect("known"), flags, id, meta: meta.into(), body: body.into(),
                })
                .collect();
            let bytes: Vec<u8> = frames.iter().flat_map(wire).collect();
            let mut buffer = BytesMut::new();
            let mut got = Vec::new();
            for chunk in bytes.chunks(step) {
                buffer.put_slice(chunk);
                while let Some(frame) = take(&mut buffer).expect("valid") {
                    got.push(frame);
                }
            }
            prop_assert_eq!(got, frames);
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut buffer) {}
        }
    }
}
