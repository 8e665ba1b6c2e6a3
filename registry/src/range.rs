//! Byte ranges: of downloads (`Range`, RFC 9110 section 14) and of upload chunks (`Content-Range` as the
//! distribution specification has it: `<start>-<end>`, both inclusive).

/// What a download's `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: no range, or one that this registry does not know and so may ignore.
    All,
    /// `length` bytes from `start`.
    Part { start: u64, length: u64 },
    /// Nothing of this content is in the range.
    Unsatisfiable,
}

/// Reads a `Range` header for content of `size` bytes. Several ranges at once are ignored.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((from, to)) =
        header.and_then(|text| text.strip_prefix("bytes=")).and_then(|text| text.split_once('-'))
    else {
        return Wanted::All;
    };
    let (start, end) = match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(start), Ok(end)) if start <= end => (start, end.min(size.saturating_sub(1))),
        (Ok(start), Err(_)) if to.trim().is_empty() => (start, size.saturating_sub(1)),
        (Err(_), Ok(0)) if from.trim().is_empty() => return Wanted::Unsatisfiable,
        (Err(_), Ok(last)) if from.trim().is_empty() => (size.saturating_sub(last), size.saturating_sub(1)),
        _ => return Wanted::All,
    };
    if start >= size {
        return Wanted::Unsatisfiable;
    }
    Wanted::Part { start, length: end - start + 1 }
}

/// Reads a chunk's `Content-Range`: its first and last byte. `None` when it is malformed.
pub(crate) fn chunk(header: &str) -> Option<(u64, u64)> {
    let text = header.trim();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let (start, end) = text.split('/').next()?.split_once('-')?;
    let (start, end) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
    (start <= end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads() {
        let part = |start, length| Wanted::Part { start, length };
        for (header, expected) in [
            ("bytes=0-3", part(0, 4)),
            ("bytes=2-", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=5-500", part(5, 5)),
            ("bytes=9-9", part(9, 1)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=3-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=x-", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn chunks() {
        assert_eq!(chunk("0-9"), Some((0, 9)));
        assert_eq!(chunk("bytes 5-9/10"), Some((5, 9)));
        assert_eq!(chunk("9-5"), None);
        assert_eq!(chunk("5"), None);
    }
}
