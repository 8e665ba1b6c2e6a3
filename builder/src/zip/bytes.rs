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

/// An extra field that cannot be read in one way only: it is there twice, or reaches past the others' end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclear {
    pub(super) id: u16,
}

/// The body of the extra field with that id. Up to three bytes behind the last field are padding of tools that
/// align the data.
pub(super) fn extra_field(extra: &[u8], id: u16) -> Result<Option<Bytes<'_>>, Unclear> {
    let (mut rest, mut body) = (Bytes(extra), None);
    while let (Some(found), Some(length)) = (rest.u16(), rest.u16()) {
        let Some(bytes) = rest.take(length.into()) else { return Err(Unclear { id: found }) };
        if found == id && body.replace(Bytes(bytes)).is_some() {
            return Err(Unclear { id });
        }
    }
    Ok(body)
}
