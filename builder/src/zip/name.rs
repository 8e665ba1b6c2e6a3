//! From an entry's name to a path: decoding, and everything that is refused in a path.

use super::bytes::{Bytes, Unclear, extra_field};
use super::directory::Record;
use super::entry::{UTF8, shown};
use super::{ArchiveLimits, Refusal};

/// Extra field with the name in UTF-8, for names whose own encoding is not known.
const UNICODE_PATH: u16 = 0x7075;
/// Systems whose tools may write `\` between components.
const BACKSLASH_HOSTS: [u8; 3] = [0, 10, 14];

/// A normalised path and whether the name ended in `/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Empty for the archive's root.
    pub(super) path: String,
    pub(super) directory: bool,
    /// Whether its encoding is the format's default, for want of anything better.
    pub(super) assumed: bool,
}

/// Decodes and normalises a record's name.
///
/// # Errors
/// [`Refusal`]: rules 5 and 6, and the limits of names.
pub(super) fn read(record: &Record<'_>, limits: &ArchiveLimits) -> Result<Name, Refusal> {
    if record.name.len() > limits.path_bytes {
        return Err(Refusal::PathLength {
            entry: shown(record),
            found: record.name.len(),
            limit: limits.path_bytes,
        });
    }
    let (mut name, assumed) = decode(record)?;
    if name.contains('\\') {
        if !BACKSLASH_HOSTS.contains(&record.host) {
            return Err(Refusal::PathBackslash { entry: name });
        }
        name = name.replace('\\', "/");
    }
    Ok(Name { assumed, ..normalise(name, limits)? })
}

/// The name, and whether its encoding is assumed.
fn decode(record: &Record<'_>) -> Result<(String, bool), Refusal> {
    let plain = str::from_utf8(record.name).ok().map(str::to_owned);
    let second = second(record.name, record.extra)
        .map_err(|Unclear { id }| Refusal::ExtraField { entry: shown(record), id })?;
    if record.name.is_ascii() || record.flags & UTF8 != 0 {
        let name = plain.ok_or_else(|| Refusal::NameEncoding { entry: shown(record) })?;
        return match second {
            Some(other) if other != name => Err(Refusal::SecondName { entry: name, other }),
            _ => Ok((name, false)),
        };
    }
    // Info-ZIP on Linux and older archivers of macOS store names as the disk has them, and say nothing. What is valid
    // UTF-8 by chance would be drawn lines in code page 437, which is what the format says of names without a flag.
    let known = second.or(plain).map(|name| (name, false));
    Ok(known.unwrap_or_else(|| (record.name.iter().map(|byte| cp437(*byte)).collect(), true)))
}

/// The second name in UTF-8, when it is about this first name (its checksum says so). One of a version that is not
/// known is read by some.
pub(super) fn second(name: &[u8], extra: &[u8]) -> Result<Option<String>, Unclear> {
    let read = |mut field: Bytes<'_>| {
        let [version] = field.take(1)?.try_into().ok()?;
        (field.u32()? == crc32fast::hash(name)).then_some((version, str::from_utf8(field.0).ok()?.to_owned()))
    };
    match extra_field(extra, UNICODE_PATH)?.and_then(read) {
        Some((1, second)) => Ok(Some(second)),
        Some(_) => Err(Unclear { id: UNICODE_PATH }),
        None => Ok(None),
    }
}

fn normalise(name: String, limits: &ArchiveLimits) -> Result<Name, Refusal> {
    if name.is_empty() {
        return Err(Refusal::EmptyName);
    }
    if name.chars().any(char::is_control) {
        return Err(Refusal::PathControl { entry: name });
    }
    if name.starts_with('/') {
        return Err(Refusal::PathAbsolute { entry: name });
    }
    if matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err(Refusal::PathDrive { entry: name });
    }
    let components: Vec<&str> = name.split('/').filter(|c| !matches!(*c, "" | ".")).collect();
    if components.contains(&"..") {
        return Err(Refusal::PathEscapes { entry: name });
    }
    if components.iter().any(|c| c.starts_with(".wh.")) {
        return Err(Refusal::Whiteout { entry: name });
    }
    if components.len() > limits.depth {
        return Err(Refusal::Depth { found: components.len(), limit: limits.depth, entry: name });
    }
    // "dir/." is a directory as much as "dir/" is.
    let directory = name.ends_with('/') || name.ends_with("/.") || name == ".";
    Ok(Name { path: components.join("/"), directory, assumed: false })
}

/// IBM's code page 437, the format's first encoding of names.
fn cp437(byte: u8) -> char {
    const HIGH: [char; 128] = [
        'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ', 'ô',
        'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º',
        '¿', '⌐', '¬', '½', '¼', '¡', '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗',
        '╝', '╜', '╛', '┐', '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧',
        '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀', 'α', 'ß', 'Γ', 'π',
        'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈',
        '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
    ];
    match byte {
        0..=127 => byte as char,
        _ => HIGH[usize::from(byte - 128)],
    }
}
