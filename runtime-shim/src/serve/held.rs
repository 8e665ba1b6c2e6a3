//! What was read of a connection and is not passed on yet: the beginning of a head. A head is passed on whole, or not
//! at all when it is refused.

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

#[derive(Default)]
pub(super) struct Held {
    bytes: BytesMut,
    /// So many of them, from the front, are of heads that are over, or lie behind those: they may be passed on.
    free: usize,
}

impl Held {
    /// Whether something may be passed on.
    pub(super) fn has_free(&self) -> bool {
        self.free > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Passes on what may be, as far as there is room.
    pub(super) fn release(&mut self, out: &mut ReadBuf<'_>) {
        let room = self.free.min(out.remaining());
        out.put_slice(&self.bytes[..room]);
        self.bytes.advance(room);
        self.free -= room;
        if self.bytes.is_empty() {
            // Most connections wait for long, and heads are rarely cut: nothing is kept.
            self.bytes = BytesMut::new();
        }
    }

    /// Takes in what was read. The first `passed` bytes end what is held, and may be passed on.
    pub(super) fn take_in(&mut self, read: &[u8], passed: usize) {
        self.bytes.extend_from_slice(read);
        if passed > 0 {
            self.free = self.bytes.len() - read.len() + passed;
        }
    }

    /// Forgets the head that is not over.
    pub(super) fn forget(&mut self) {
        self.bytes.truncate(self.free);
    }
}
