//! What a worker writes, for the fuzzers.

use bytes::{BufMut, Bytes, BytesMut};

use super::frames::{Frame, take};
use super::meta;
use crate::request::probe;

/// The bytes as each meta that a worker sends, down to the response's head.
pub(crate) fn answer(bytes: &[u8]) {
    probe::run(&meta::head(bytes, Bytes::from_static(b"body")));
    probe::run(&Err(meta::error(bytes)));
    let _ = meta::end(bytes);
    let _ = meta::log(bytes);
}

/// The first byte says how the others are cut, as a socket might.
///
/// # Panics
/// When frames depend on how the bytes were cut, or do not write themselves back.
pub(crate) fn frames(bytes: &[u8]) {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let (frames, is_refused) = decode(bytes, bytes.len().max(1));
    assert_eq!(decode(bytes, usize::from(cut) + 1), (frames.clone(), is_refused), "cut by {cut}");
    let mut wire = BytesMut::new();
    for frame in &frames {
        assert!(frame.write_head(&mut wire).is_ok(), "what was read can be written");
        wire.put_slice(&frame.body);
    }
    assert_eq!(decode(&wire, wire.len().max(1)), (frames, false), "written back");
}

fn decode(bytes: &[u8], cut: usize) -> (Vec<Frame>, bool) {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(cut) {
        buffer.put_slice(piece);
        loop {
            match take(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}
