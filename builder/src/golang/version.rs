//! The toolchain's version, as the linker left it in a program: section `.go.buildinfo` of a 64-bit ELF file, in
//! the form that `go version` reads (debug/buildinfo of Go 1.18 and later).

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes before the strings.
const HEADER: usize = 32;
/// In the flags: the strings follow the header.
const INLINE: u8 = 2;

/// What the linker wrote down: the toolchain's version (`go1.26.6`), and the lines about modules between their
/// marks. `None` when the program is not of Go.
pub(crate) fn record(program: &[u8]) -> Option<(&str, &[u8])> {
    let info = section(program, b".go.buildinfo")?;
    if !info.starts_with(MAGIC) || info.get(15)? & INLINE == 0 {
        return None;
    }
    let (length, rest) = varint(info.get(HEADER..)?)?;
    let version = str::from_utf8(rest.get(..length)?).ok()?;
    let (length, rest) = varint(&rest[length..])?;
    Some((version, rest.get(..length)?))
}

/// `1.26.6`; `None` when the program is not of Go.
#[must_use]
pub fn version(program: &[u8]) -> Option<&str> {
    let version = record(program)?.0.strip_prefix("go")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
    (version.len() <= 64 && version.bytes().all(plain)).then_some(version)
}

/// An unsigned number in base 128, and what follows.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn section<'p>(elf: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size) = (number(elf, 0x28, 8)?, number(elf, 0x3a, 2)?);
    let (count, names) = (number(elf, 0x3c, 2)?, number(elf, 0x3e, 2)?);
    let header = |index: usize| {
        let start = table.checked_add(index.checked_mul(size)?)?;
        elf.get(start..start.checked_add(64)?)
    };
    let content = |header: &[u8]| {
        let start = number(header, 0x18, 8)?;
        elf.get(start..start.checked_add(number(header, 0x20, 8)?)?)
    };
    let names = content(header(names)?)?;
    let found = (0..count).filter_map(header).find(|header| {
        let at = number(header, 0, 4).unwrap_or(usize::MAX);
        names.get(at..).is_some_and(|rest| rest.starts_with(name) && rest.get(name.len()) == Some(&0))
    });
    content(found?)
}

/// Little endian.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    let value = bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_of_go_has_no_version() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(version(&own), None);
        for cut in [0, 4, 63, 64, 200, own.len() - 1] {
            assert_eq!(version(&own[..cut]), None);
        }
        assert_eq!(varint(&[0x81, 0x01, 9]), Some((129, &[9_u8][..])));
        assert_eq!(varint(&[0xff; 9]), None);
    }
}
