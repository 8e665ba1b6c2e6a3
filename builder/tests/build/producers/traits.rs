//! What an archive is known for, read off its directory without vetting: whether a tool still does what its test is
//! there for.

use std::collections::BTreeSet;

fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// `stored`, `descriptor`, `utf-8`, `second name`, `zip64`, `local zip64`, `directories`, `links`, `unix`, `fat`.
pub(super) fn of(archive: &[u8]) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    if archive.windows(4).any(|window| window == b"PK\x06\x06") {
        found.insert("zip64");
    }
    for at in signatures(archive, b"PK\x03\x04") {
        let (name, extra) = (number(archive, at + 26), number(archive, at + 28));
        if ids(archive.get(at + 30 + name..at + 30 + name + extra).unwrap_or_default()).any(|id| id == 1) {
            found.insert("local zip64");
        }
    }
    for at in signatures(archive, b"PK\x01\x02") {
        let (flags, method) = (number(archive, at + 8), number(archive, at + 10));
        let (name, extra) = (number(archive, at + 28), number(archive, at + 30));
        let (host, mode) = (archive[at + 5], number(archive, at + 40));
        let name = archive.get(at + 46..at + 46 + name).unwrap_or_default();
        let extra = archive.get(at + 46 + name.len()..at + 46 + name.len() + extra).unwrap_or_default();
        let traits = [
            ("stored", method == 0 && !name.ends_with(b"/")),
            ("descriptor", flags & 8 != 0),
            ("utf-8", flags & 0x800 != 0),
            ("second name", ids(extra).any(|id| id == 0x7075)),
            ("directories", name.ends_with(b"/")),
            ("links", mode & 0o170_000 == 0o120_000),
            ("unix", host == 3),
            ("fat", host == 0),
        ];
        found.extend(traits.iter().filter(|(_, is)| *is).map(|(name, _)| *name));
    }
    found
}

fn signatures<'a>(archive: &'a [u8], signature: &'a [u8; 4]) -> impl Iterator<Item = usize> {
    // Room for the fixed part of either header.
    archive.windows(46).enumerate().filter(|(_, window)| window.starts_with(signature)).map(|(at, _)| at)
}

fn ids(mut extra: &[u8]) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let (id, length) = (extra.get(..2)?, extra.get(2..4)?);
        let (id, length) = (number(id, 0), number(length, 0));
        extra = extra.get(4 + length..)?;
        Some(id)
    })
}
