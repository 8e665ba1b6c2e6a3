//! One entry beside the directory: its own header, its data, its data descriptor, and where it ends.

use super::bytes::{Bytes, extra_field};
use super::directory::{Record, ZIP64_EXTRA, slice};
use super::{Data, Method, Refusal, name};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";
const ENCRYPTED: u16 = 1 << 0;
const DESCRIBED: u16 = 1 << 3;
const STRONGLY_ENCRYPTED: u16 = 1 << 6;
const MASKED: u16 = 1 << 13;
/// How hard the encoder tried: says nothing about the data.
const EFFORT: u16 = 0b110;
/// Names and comments are UTF-8.
pub(super) const UTF8: u16 = 1 << 11;

/// What the entry's own header says.
struct Local<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    name: &'a [u8],
    extra: &'a [u8],
    /// Where the data begins.
    data: u64,
}

/// Checks that the entries fill the archive from its first byte to the directory, one after the other.
/// Answers each entry's data, in the order of the records.
///
/// # Errors
/// [`Refusal`]: rules 1, 2 and 4.
pub(super) fn data<'a>(
    archive: &'a [u8],
    records: &[Record<'a>],
    end: u64,
) -> Result<Vec<Data<'a>>, Refusal> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|i| records[*i].offset);
    let mut data = vec![Data::default(); records.len()];
    let mut at = 0;
    for (n, &i) in order.iter().enumerate() {
        let record = &records[i];
        let next = order.get(n + 1).map_or(end, |next| records[*next].offset);
        match record.offset {
            offset if offset > at && n == 0 => return Err(Refusal::Prefix { found: offset }),
            offset if offset > at => {
                return Err(Refusal::Gap { found: offset - at, before: format!("{:?}", shown(record)) });
            }
            offset if offset < at => {
                return Err(Refusal::Overlap { entry: shown(record), other: shown(&records[order[n - 1]]) });
            }
            _ => {}
        }
        supported(record)?;
        (data[i], at) = one(archive, record, next)?;
    }
    match end.checked_sub(at) {
        Some(0) => Ok(data),
        Some(found) if records.is_empty() => Err(Refusal::Prefix { found }),
        Some(found) => Err(Refusal::Gap { found, before: "the directory".into() }),
        None => {
            Err(Refusal::Truncated { entry: order.last().map(|i| shown(&records[*i])).unwrap_or_default() })
        }
    }
}

fn supported(record: &Record<'_>) -> Result<(), Refusal> {
    if record.flags & (ENCRYPTED | STRONGLY_ENCRYPTED | MASKED) != 0 {
        return Err(Refusal::Encrypted { entry: shown(record) });
    }
    let unknown = record.flags & !(EFFORT | DESCRIBED | UTF8);
    if unknown != 0 {
        return Err(Refusal::Flags { entry: shown(record), found: unknown });
    }
    match record.method {
        0 if record.compressed != record.size => {
            Err(Refusal::Size { entry: shown(record), found: record.compressed, declared: record.size })
        }
        0 | 8 => Ok(()),
        found => Err(Refusal::Method { entry: shown(record), found }),
    }
}

/// One entry's data and where the entry ends. `next` is where the next one begins.
fn one<'a>(archive: &'a [u8], record: &Record<'a>, next: u64) -> Result<(Data<'a>, u64), Refusal> {
    let truncated = || Refusal::Truncated { entry: shown(record) };
    let local = local(archive, record.offset).ok_or_else(|| Refusal::Damaged {
        what: format!("{:?} has no header where the directory says", shown(record)),
    })?;
    agree(record, &local)?;
    let raw = slice(archive, local.data, record.compressed).ok_or_else(truncated)?;
    let data_end = local.data + record.compressed;
    let end =
        if record.flags & DESCRIBED == 0 { data_end } else { described(archive, record, data_end, next)? };
    let empty = raw.is_empty() && record.size == 0;
    if empty && record.crc != 0 {
        return Err(Refusal::Checksum { entry: shown(record), found: 0, declared: record.crc });
    }
    // Some tools call it deflate and write no stream: nothing is nothing either way.
    let method = if record.method == 0 || empty { Method::Stored } else { Method::Deflate };
    Ok((Data { raw, method, size: record.size, crc: record.crc }, end))
}

fn local(archive: &[u8], offset: u64) -> Option<Local<'_>> {
    let mut rest = Bytes(archive.get(usize::try_from(offset).ok()?..)?);
    if rest.take(4)? != LOCAL {
        return None;
    }
    rest.u16()?; // version needed
    let (flags, method) = (rest.u16()?, rest.u16()?);
    rest.u32()?; // time and date
    let (crc, compressed, size) = (rest.u32()?, rest.u32()?, rest.u32()?);
    let (name, extra) = (rest.u16()?, rest.u16()?);
    let name = rest.take(name.into())?;
    let extra = rest.take(extra.into())?;
    let data = archive.len() as u64 - rest.0.len() as u64;
    // What is unclear here is not read: the values must then be the directory's without it.
    let mut zip64 = extra_field(extra, ZIP64_EXTRA).ok().flatten().unwrap_or(Bytes(&[]));
    let mut wide = |narrow: u32| if narrow == u32::MAX { zip64.u64() } else { Some(narrow.into()) };
    let (size, compressed) = (wide(size)?, wide(compressed)?);
    Some(Local { flags, method, crc, compressed, size, name, extra, data })
}

/// The two headers must say the same. Zeros for checksum and sizes are what a tool writes that does not know
/// them yet; some do so without announcing a descriptor, so zeros are allowed there too: the data must then
/// fit what the directory says, which every entry's must anyway.
fn agree(record: &Record<'_>, local: &Local<'_>) -> Result<(), Refusal> {
    let disagree = |field| Err(Refusal::Disagree { entry: shown(record), field });
    if local.name != record.name {
        return disagree("name");
    }
    // Readers that stream know only the second name that stands here.
    let second = name::second(local.name, local.extra).unwrap_or_default();
    if second.is_some() && second != name::second(record.name, record.extra).unwrap_or_default() {
        return disagree("second name");
    }
    if local.method != record.method {
        return disagree("method");
    }
    if (local.flags ^ record.flags) & !EFFORT != 0 {
        return disagree("flags");
    }
    let unknown = (local.crc, local.compressed, local.size) == (0, 0, 0);
    let later = record.flags & DESCRIBED != 0;
    let fits = |narrow: u64, wide: u64| narrow == wide || unknown || (later && narrow == 0);
    if !fits(local.crc.into(), record.crc.into()) {
        return disagree("checksum");
    }
    if !fits(local.compressed, record.compressed) || !fits(local.size, record.size) {
        return disagree("size");
    }
    Ok(())
}

/// Where an entry with a data descriptor ends. Its four forms (with or without signature, 32 or 64 bit) have
/// four lengths, and the next entry must begin right behind it, so the form is known and not guessed.
fn described(archive: &[u8], record: &Record<'_>, start: u64, next: u64) -> Result<u64, Refusal> {
    let disagree = || Refusal::Disagree { entry: shown(record), field: "data descriptor" };
    let Some(length) = next.checked_sub(start) else {
        return Err(Refusal::Truncated { entry: shown(record) });
    };
    let bytes = slice(archive, start, length).ok_or_else(|| Refusal::Truncated { entry: shown(record) })?;
    let mut rest = Bytes(bytes);
    if matches!(length, 16 | 24) && rest.take(4) != Some(DESCRIPTOR.as_slice()) {
        return Err(disagree());
    }
    let crc = rest.u32();
    let sizes = match length {
        12 | 16 => (rest.u32().map(u64::from), rest.u32().map(u64::from)),
        20 | 24 => (rest.u64(), rest.u64()),
        _ => return Err(disagree()),
    };
    if (crc, sizes) != (Some(record.crc), (Some(record.compressed), Some(record.size))) {
        return Err(disagree());
    }
    Ok(next)
}

/// A name for messages, before it is decoded and vetted.
pub(super) fn shown(record: &Record<'_>) -> String {
    String::from_utf8_lossy(&record.name[..record.name.len().min(200)]).into_owned()
}
