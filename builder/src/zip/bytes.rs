//! Reading little-endian records; every read is checked.

/// What is left to read of a record.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

/// The body of the first extra field with that id.
pub(super) fn extra_field(extra: &[u8], id: u16) -> Option<Bytes<'_>> {
    let mut rest = Bytes(extra);
    loop {
        let found = rest.u16()?;
        let length = rest.u16()?;
        let body = rest.take(usize::from(length))?;
        if found == id {
            return Some(Bytes(body));
        }
    }
}
