//! Archives byte by byte, each field of which can lie.

use std::io::Write;

/// One entry; `None` in the header beside the data means: as in the directory.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) raw: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) local_method: Option<u16>,
    pub(crate) flags: u16,
    pub(crate) local_flags: Option<u16>,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    pub(crate) compressed: u32,
    /// Checksum, compressed size, size.
    pub(crate) local: Option<(u32, u32, u32)>,
    pub(crate) host: u8,
    /// The version of the format that the tool says it knows.
    pub(crate) version: u8,
    pub(crate) mode: u32,
    /// The lower half of the attributes: FAT's.
    pub(crate) dos: u16,
    pub(crate) disk: u16,
    pub(crate) extra: Vec<u8>,
    /// Of the header beside the data.
    pub(crate) local_extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) offset: Option<u32>,
    /// Bytes before its header.
    pub(crate) gap: Vec<u8>,
    /// Bytes behind its data.
    pub(crate) descriptor: Vec<u8>,
}

pub(crate) fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Item {
    pub(crate) fn stored(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            raw: bytes.to_vec(),
            method: 0,
            local_method: None,
            flags: 0,
            local_flags: None,
            crc: crc32fast::hash(bytes),
            size: bytes.len() as u32,
            compressed: bytes.len() as u32,
            local: None,
            host: 3,
            version: 20,
            mode: 0o100_644,
            dos: 0,
            disk: 0,
            extra: Vec::new(),
            local_extra: Vec::new(),
            comment: Vec::new(),
            offset: None,
            gap: Vec::new(),
            descriptor: Vec::new(),
        }
    }

    /// A deflate stream that somebody made of `bytes`.
    pub(crate) fn stream(name: &str, bytes: &[u8], raw: Vec<u8>) -> Self {
        Self { method: 8, compressed: raw.len() as u32, raw, ..Self::stored(name, bytes) }
    }

    pub(crate) fn deflated(name: &str, bytes: &[u8]) -> Self {
        Self::stream(name, bytes, deflate(bytes, 6))
    }

    pub(crate) fn link(name: &str, target: &str) -> Self {
        Self { mode: 0o120_777, ..Self::stored(name, target.as_bytes()) }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// A directory as Unix tools write it.
    pub(crate) fn directory(name: &str) -> Self {
        Self { mode: 0o040_755, dos: 0x10, ..Self::stored(name, b"") }
    }

    /// With its sizes in 64 bits, in both headers.
    pub(crate) fn zip64(self) -> Self {
        self.with(|item| {
            let sizes =
                [u64::from(item.size).to_le_bytes(), u64::from(item.compressed).to_le_bytes()].concat();
            item.extra.extend(field(1, &sizes));
            item.local_extra.extend(field(1, &sizes));
            (item.size, item.compressed) = (u32::MAX, u32::MAX);
        })
    }

    /// With a data descriptor, its own header full of zeros.
    pub(crate) fn described(self, signature: bool) -> Self {
        self.with(|item| {
            item.flags |= 8;
            item.local = Some((0, 0, 0));
            let fields = [item.crc, item.compressed, item.size];
            item.descriptor = if signature { b"PK\x07\x08".to_vec() } else { Vec::new() };
            item.descriptor.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        })
    }
}

/// An extra field.
pub(crate) fn field(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(body.len() as u16).to_le_bytes(), body].concat()
}

/// The archive with its end record's comment set.
pub(crate) fn commented(archive: &[u8], comment: &[u8]) -> Vec<u8> {
    let mut out = archive[..archive.len() - 2].to_vec();
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend(comment);
    out
}

/// The archive with a 64-bit end record and its locator; the old end record keeps nothing but the maximum.
pub(crate) fn zip64_end(archive: &[u8]) -> Vec<u8> {
    let (body, end) = archive.split_at(archive.len() - 22);
    let count = u64::from(u16::from_le_bytes([end[10], end[11]]));
    let wide = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let mut out = body.to_vec();
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    put16(&mut out, &[45, 45]);
    put32(&mut out, &[0, 0]);
    out.extend([count, count, wide(12), wide(16)].iter().flat_map(|value| value.to_le_bytes()));
    out.extend(b"PK\x06\x07");
    put32(&mut out, &[0]);
    out.extend((body.len() as u64).to_le_bytes());
    put32(&mut out, &[1]);
    out.extend(b"PK\x05\x06");
    put16(&mut out, &[0, 0, u16::MAX, u16::MAX]);
    put32(&mut out, &[u32::MAX, u32::MAX]);
    put16(&mut out, &[0]);
    out
}

fn put16(out: &mut Vec<u8>, values: &[u16]) {
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

fn put32(out: &mut Vec<u8>, values: &[u32]) {
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

/// An honest end for these entries.
pub(crate) fn zip(items: &[Item]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for item in items {
        out.extend(&item.gap);
        let offset = item.offset.unwrap_or(out.len() as u32);
        let local_name = item.local_name.as_ref().unwrap_or(&item.name);
        let (crc, compressed, size) = item.local.unwrap_or((item.crc, item.compressed, item.size));
        out.extend(b"PK\x03\x04");
        put16(
            &mut out,
            &[20, item.local_flags.unwrap_or(item.flags), item.local_method.unwrap_or(item.method), 0, 33],
        );
        put32(&mut out, &[crc, compressed, size]);
        put16(&mut out, &[local_name.len() as u16, item.local_extra.len() as u16]);
        out.extend(local_name);
        out.extend(&item.local_extra);
        out.extend(&item.raw);
        out.extend(&item.descriptor);
        directory.extend(b"PK\x01\x02");
        directory.extend([item.version, item.host]);
        put16(&mut directory, &[20, item.flags, item.method, 0, 33]);
        put32(&mut directory, &[item.crc, item.compressed, item.size]);
        put16(
            &mut directory,
            &[item.name.len() as u16, item.extra.len() as u16, item.comment.len() as u16, item.disk, 0],
        );
        put32(&mut directory, &[item.mode << 16 | u32::from(item.dos), offset]);
        directory.extend(&item.name);
        directory.extend(&item.extra);
        directory.extend(&item.comment);
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06");
    put16(&mut out, &[0, 0, items.len() as u16, items.len() as u16]);
    put32(&mut out, &[directory.len() as u32, start]);
    put16(&mut out, &[0]);
    out
}
