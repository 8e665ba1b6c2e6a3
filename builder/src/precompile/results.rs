//! What a script says it made, as it comes out of a sandbox: one line, and behind it the bytes that the line counts.
//!
//! ```text
//! <label> <length>\n<bytes>      something was made
//! <label> - <reason>\n           something was not
//! ```
//!
//! Nothing here is believed: the interpreter that wrote it has read what a user wrote.

use std::io::{self, BufRead, Read as _};

use super::PrecompileError;

/// Bytes of one line, at most.
const LINE: u64 = 16 << 10;
/// Bytes of one thing that was made, at most.
const LARGEST: u64 = 64 << 20;
/// Things that may be made or not, at most.
const MOST: usize = 500_000;

/// One thing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// What it is called; never empty and without white space, and that is all that is known of it.
    pub(super) label: String,
    /// Its bytes, or why there are none.
    pub(super) outcome: Result<Vec<u8>, String>,
}

/// One line without its end; `None` where there is nothing more.
pub(super) fn line(from: &mut impl BufRead) -> Result<Option<String>, PrecompileError> {
    let mut bytes = Vec::new();
    from.take(LINE).read_until(b'\n', &mut bytes)?;
    match bytes.pop() {
        None => Ok(None),
        Some(b'\n') => String::from_utf8(bytes).map(Some).map_err(|_| unreadable()),
        Some(_) => Err(unreadable()),
    }
}

/// Everything that is said.
pub(super) fn read(from: &mut impl BufRead) -> Result<Vec<Made>, PrecompileError> {
    let mut all = Vec::new();
    while let Some(line) = line(from)? {
        let (label, rest) = line.split_once(' ').ok_or_else(unreadable)?;
        let plain = !label.is_empty() && !label.contains(char::is_whitespace);
        if !plain || all.len() >= MOST {
            return Err(unreadable());
        }
        let outcome = match rest.strip_prefix("- ") {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(bytes(from, rest)?),
        };
        all.push(Made { label: label.to_owned(), outcome });
    }
    Ok(all)
}

/// The source that a label is the number of.
pub(super) fn source<'s>(label: &str, sources: &'s [String]) -> Result<&'s str, PrecompileError> {
    let source = label.parse().ok().and_then(|number: usize| sources.get(number));
    source.map(String::as_str).ok_or_else(unreadable)
}

fn bytes(from: &mut impl BufRead, length: &str) -> Result<Vec<u8>, PrecompileError> {
    // Not `u64::from_str` alone, which takes a sign.
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.parse().ok().filter(|length| digits && *length <= LARGEST).ok_or_else(unreadable)?;
    let mut bytes = Vec::new();
    // Never room for what is only announced.
    match from.take(length).read_to_end(&mut bytes) {
        Ok(read) if read as u64 == length => Ok(bytes),
        Ok(_) => Err(unreadable()),
        Err(error) => Err(error.into()),
    }
}

fn unreadable() -> PrecompileError {
    PrecompileError::Io(io::Error::other("what the image's interpreter wrote can't be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_may_look_like_anything_and_reasons_have_words() {
        let said = b"0 5\n1 2\n\xff1 - it is no Python\nv22-x/1a 0\n";
        let made = read(&mut &said[..]).unwrap();
        let made: Vec<_> = made.into_iter().map(|made| (made.label, made.outcome)).collect();
        let expected = [
            ("0".to_owned(), Ok(b"1 2\n\xff".to_vec())),
            ("1".to_owned(), Err("it is no Python".to_owned())),
            ("v22-x/1a".to_owned(), Ok(Vec::new())),
        ];
        assert_eq!(made, expected);
        assert_eq!(read(&mut &b""[..]).unwrap(), []);
    }

    #[test]
    fn what_is_cut_off_too_large_or_odd_is_refused() {
        let long = format!("0 - {}\n", "x".repeat(20_000));
        for said in [
            "0 5\n1234",
            "0 5",
            "0\n",
            "\n",
            " 1\nx",
            "a\tb 1\nx",
            "0 +1\nx",
            "0 -1\nx",
            "0 \n",
            "0 99999999999\nx",
            "0 99999999999999999999999\nx",
            "\u{0} - \u{0}",
            &long,
        ] {
            assert!(read(&mut said.as_bytes()).is_err(), "{said:?}");
        }
        assert!(read(&mut &b"\xff\xff - x\n"[..]).is_err());
    }
}
