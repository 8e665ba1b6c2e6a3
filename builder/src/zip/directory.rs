//! The archive's end records and its directory: the one place that says what is in it.

use super::bytes::{Bytes, Unclear, extra_field};
use super::entry::shown;
use super::{ArchiveLimits, Refusal};

const END: &[u8; 4] = b"PK\x05\x06";
const END_SIZE: usize = 22;
const ZIP64_LOCATOR: &[u8; 4] = b"PK\x06\x07";
const ZIP64_LOCATOR_SIZE: usize = 20;
const ZIP64_END: &[u8; 4] = b"PK\x06\x06";
/// Without the extensible data that nobody writes and nobody reads alike.
const ZIP64_END_SIZE: u64 = 56;
const RECORD: &[u8; 4] = b"PK\x01\x02";
/// Extra field with the 64-bit sizes and offset.
pub(super) const ZIP64_EXTRA: u16 = 1;

/// One record of the directory, its zip64 values resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// Which system's attributes: 0 FAT, 3 Unix, 10 NTFS, 14 VFAT, 19 macOS.
    pub(super) host: u8,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) attributes: u32,
    pub(super) name: &'a [u8],
    pub(super) extra: &'a [u8],
}

/// The directory of an archive.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    pub(super) records: Vec<Record<'a>>,
    /// Where the records begin, which is where the entries must end.
    pub(super) offset: u64,
}

/// What the end records say, 32 and 64 bit merged.
struct End {
    entries: u64,
    offset: u64,
    size: u64,
    /// Where the directory must end: at the first end record.
    at: u64,
}

/// Finds and reads the directory.
///
/// # Errors
/// [`Refusal`]: rule 1 of the canonical view, the number of entries, splits.
pub(super) fn read<'a>(archive: &'a [u8], limits: &ArchiveLimits) -> Result<Directory<'a>, Refusal> {
    let end = end(archive)?;
    if end.offset.checked_add(end.size) != Some(end.at) {
        let found = end.at.saturating_sub(end.offset.saturating_add(end.size));
        return Err(if end.offset.saturating_add(end.size) > end.at {
            damaged("the directory does not lie where the end record says")
        } else {
            // Most often a program glued in front of the zip; its offsets are then all too small.
            Refusal::Gap { found, before: "the end record".into() }
        });
    }
    if end.entries > limits.entries {
        return Err(Refusal::Entries { found: end.entries, limit: limits.entries });
    }
    let bytes = slice(archive, end.offset, end.size).ok_or_else(|| damaged("the directory is cut off"))?;
    Ok(Directory { records: records(bytes, end.entries)?, offset: end.offset })
}

fn end(archive: &[u8]) -> Result<End, Refusal> {
    let at = find_end(archive)?;
    let mut record = Bytes(&archive[at + 4..]);
    let read = (|| {
        Some((record.u16()?, record.u16()?, record.u16()?, record.u16()?, record.u32()?, record.u32()?))
    })();
    let Some((disk, directory_disk, here, entries, size, offset)) = read else {
        return Err(damaged("the end record is cut off"));
    };
    let locator =
        at.checked_sub(ZIP64_LOCATOR_SIZE).filter(|start| archive[*start..].starts_with(ZIP64_LOCATOR));
    let end32 = End { entries: entries.into(), offset: offset.into(), size: size.into(), at: at as u64 };
    if disk != directory_disk || (disk != 0 && disk != u16::MAX) || here != entries {
        return Err(Refusal::Split);
    }
    match locator {
        None if disk != 0 => Err(Refusal::Split),
        None => Ok(end32),
        Some(locator) => end64(archive, locator, &end32),
    }
}

/// The last end record. Its comment must reach the end of the file, and no other record's may.
fn find_end(archive: &[u8]) -> Result<usize, Refusal> {
    let first = archive.len().saturating_sub(END_SIZE + usize::from(u16::MAX));
    let tail = &archive[first..];
    let mut candidates =
        tail.windows(END.len()).enumerate().rev().filter(|(_, w)| w == END).map(|(i, _)| first + i);
    let last = candidates.find(|at| archive.len() - at >= END_SIZE).ok_or_else(|| not_a_zip(archive))?;
    match (archive.len() as u64).checked_sub(comment_end(archive, last)) {
        Some(0) => {}
        Some(found) => return Err(Refusal::Trailer { found }),
        None => return Err(damaged("the end record's comment is cut off")),
    }
    if candidates.any(|at| comment_end(archive, at) == archive.len() as u64) {
        return Err(Refusal::SeveralEnds);
    }
    Ok(last)
}

fn comment_end(archive: &[u8], at: usize) -> u64 {
    let length = Bytes(&archive[at + END_SIZE - 2..]).u16().unwrap_or(0);
    (at + END_SIZE) as u64 + u64::from(length)
}

fn not_a_zip(archive: &[u8]) -> Refusal {
    let reason = match archive {
        [] => "it is empty".to_owned(),
        [b'P', b'K', 3, 4, ..] => {
            "it begins like one, but its end is missing (was the upload cut off?)".to_owned()
        }
        [0x1f, 0x8b, ..] => "it looks like gzip (a .tar.gz?)".to_owned(),
        [b'7', b'z', 0xbc, 0xaf, ..] => "it looks like 7z".to_owned(),
        [b'R', b'a', b'r', b'!', ..] => "it looks like RAR".to_owned(),
        [0xfd, b'7', b'z', b'X', ..] => "it looks like xz".to_owned(),
        _ if archive.get(257..262) == Some(b"ustar") => "it looks like tar".to_owned(),
        _ => format!("its {} bytes have no end of central directory record", archive.len()),
    };
    Refusal::NotAZip { reason }
}

fn end64(archive: &[u8], locator: usize, end32: &End) -> Result<End, Refusal> {
    let mut record = Bytes(&archive[locator + 4..]);
    let (Some(disk), Some(at), Some(disks)) = (record.u32(), record.u64(), record.u32()) else {
        return Err(damaged("the zip64 locator is cut off"));
    };
    if disk != 0 || disks > 1 {
        return Err(Refusal::Split);
    }
    let cut = || damaged("the zip64 end record is not where its locator says");
    let length = (locator as u64).checked_sub(at).ok_or_else(cut)?;
    let bytes = slice(archive, at, length).filter(|b| b.starts_with(ZIP64_END)).ok_or_else(cut)?;
    let mut record = Bytes(&bytes[4..]);
    let size = record.u64().ok_or_else(cut)?;
    if length != ZIP64_END_SIZE || size != ZIP64_END_SIZE - 12 {
        return Err(cut());
    }
    let read = (|| {
        record.take(4)?; // versions
        Some((record.u32()?, record.u32()?, record.u64()?, record.u64()?, record.u64()?, record.u64()?))
    })();
    let (disk, directory_disk, here, entries, size, offset) = read.ok_or_else(cut)?;
    if disk != 0 || directory_disk != 0 || here != entries {
        return Err(Refusal::Split);
    }
    let same = |narrow: u64, limit: u64, wide: u64| narrow == limit || narrow == wide;
    let (max16, max32) = (u64::from(u16::MAX), u64::from(u32::MAX));
    let agree = same(end32.entries, max16, entries)
        && same(end32.size, max32, size)
        && same(end32.offset, max32, offset);
    if !agree {
        return Err(damaged("the two end records disagree"));
    }
    Ok(End { entries, offset, size, at })
}

fn records(bytes: &[u8], declared: u64) -> Result<Vec<Record<'_>>, Refusal> {
    // `declared` was held against the limit before, so this can't be made to allocate much.
    let mut records = Vec::with_capacity(usize::try_from(declared).unwrap_or(0).min(bytes.len() / 46));
    let mut rest = Bytes(bytes);
    while !rest.0.is_empty() {
        let found = records.len() as u64;
        if found == declared {
            return Err(Refusal::Count { declared, found: found + 1 });
        }
        let Some(record) = record(&mut rest) else {
            return Err(damaged(&format!("record {} of the directory is cut off or wrong", found + 1)));
        };
        records.push(record?);
    }
    match records.len() as u64 {
        found if found == declared => Ok(records),
        found => Err(Refusal::Count { declared, found }),
    }
}

fn record<'a>(rest: &mut Bytes<'a>) -> Option<Result<Record<'a>, Refusal>> {
    if rest.take(4)? != RECORD {
        return None;
    }
    let [_version, host] = rest.take(2)?.try_into().ok()?;
    rest.u16()?; // version needed: the method and the flags say it better
    let (flags, method) = (rest.u16()?, rest.u16()?);
    rest.u32()?; // time and date: every file of a layer has the same
    let (crc, compressed, size) = (rest.u32()?, rest.u32()?, rest.u32()?);
    let (name, extra, comment) = (rest.u16()?, rest.u16()?, rest.u16()?);
    let disk = rest.u16()?;
    rest.u16()?; // internal attributes
    let (attributes, offset) = (rest.u32()?, rest.u32()?);
    let name = rest.take(name.into())?;
    let extra = rest.take(extra.into())?;
    rest.take(comment.into())?;
    if disk != 0 {
        return Some(Err(Refusal::Split));
    }
    let (compressed, size, offset) = (compressed.into(), size.into(), offset.into());
    let mut record = Record { host, flags, method, crc, compressed, size, offset, attributes, name, extra };
    let mut zip64 = match extra_field(extra, ZIP64_EXTRA) {
        Ok(field) => field.unwrap_or(Bytes(&[])),
        Err(Unclear { id }) => return Some(Err(Refusal::ExtraField { entry: shown(&record), id })),
    };
    // The field carries only what did not fit, in this order.
    for value in [&mut record.size, &mut record.compressed, &mut record.offset] {
        if *value == u64::from(u32::MAX) {
            *value = zip64.u64()?;
        }
    }
    Some(Ok(record))
}

pub(super) fn slice(archive: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(length)?).ok()?;
    archive.get(start..end)
}

fn damaged(what: &str) -> Refusal {
    Refusal::Damaged { what: what.to_owned() }
}
