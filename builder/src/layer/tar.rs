//! Tar headers: ustar, with a pax record where ustar has no room. Everything that is not the path, the kind,
//! the size and the executable bit is the same for every file.

use contract::environment::CONTAINER_UID;

use crate::zip::Kind;

/// Tar's unit.
pub(super) const BLOCK: u64 = 512;
/// Two empty blocks end a tar.
pub(super) const END: [u8; 1024] = [0; 1024];
/// Largest size that eleven octal digits hold.
const OCTAL_SIZE: u64 = 0o77_777_777_777;

/// Bytes of padding behind a file of that size.
pub(super) fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK) - size) as usize
}

/// Owner of a node.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// root: what lies above the home directory.
    Root,
    /// The user that runs functions.
    Function,
}

/// Appends the headers of one node. A directory's path ends with a slash.
///
/// `mtime` is in seconds since 1970, and fits eleven octal digits.
pub(super) fn header(path: &str, kind: &Kind<'_>, owner: Owner, mtime: u64, out: &mut Vec<u8>) {
    let (flag, mode, size, link) = match kind {
        Kind::Directory => (b'5', 0o755, 0, ""),
        Kind::File { executable: true, data } => (b'0', 0o755, data.size, ""),
        Kind::File { executable: false, data } => (b'0', 0o644, data.size, ""),
        Kind::Link { target } => (b'2', 0o777, 0, target.as_str()),
    };
    let place = place(path);
    let mut records = Vec::new();
    if place.is_none() {
        record(&mut records, "path", path);
    }
    if link.len() > 100 || !link.is_ascii() {
        record(&mut records, "linkpath", link);
    }
    if size > OCTAL_SIZE {
        record(&mut records, "size", &size.to_string());
    }
    if !records.is_empty() {
        out.extend(block("", "PaxHeader", b'x', 0o644, records.len() as u64, "", Owner::Root, mtime));
        let padding = padding(records.len() as u64);
        out.append(&mut records);
        out.resize(out.len() + padding, 0);
    }
    // With a pax record, the plain fields are for readers that know none, and for people.
    let (prefix, name) = place.unwrap_or(("", "long-name"));
    let size = if size > OCTAL_SIZE { 0 } else { size };
    let link = if link.len() > 100 || !link.is_ascii() { "long-target" } else { link };
    out.extend(block(prefix, name, flag, mode, size, link, owner, mtime));
}

/// How ustar holds a path: the prefix and the name around one of its slashes. `None`: not at all.
fn place(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some(("", path));
    }
    let splits = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    splits.into_iter().find(|(prefix, name)| prefix.len() <= 155 && (1..=100).contains(&name.len()))
}

/// A pax record: `length key=value\n`, where the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &str, value: &str) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend(format!("{length} {key}={value}\n").as_bytes());
}

#[expect(clippy::too_many_arguments, reason = "they are the header's fields")]
fn block(
    prefix: &str,
    name: &str,
    flag: u8,
    mode: u32,
    size: u64,
    link: &str,
    owner: Owner,
    mtime: u64,
) -> [u8; 512] {
    let id = match owner {
        Owner::Root => 0,
        Owner::Function => CONTAINER_UID,
    };
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, &octal::<7>(mode.into()));
    put(108, &octal::<7>(id.into()));
    put(116, &octal::<7>(id.into()));
    put(124, &octal::<11>(size));
    put(136, &octal::<11>(mtime));
    put(148, b"        ");
    put(156, &[flag]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000000");
    put(337, b"0000000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..154].copy_from_slice(&octal::<6>(sum.into()));
    block[154..156].copy_from_slice(b"\0 ");
    block
}

/// A number that fits so many octal digits.
fn octal<const DIGITS: usize>(mut number: u64) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit += (number & 7) as u8;
        number >>= 3;
    }
    digits
}
