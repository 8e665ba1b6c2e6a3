//! JSON in ASCII only: the workers read it as Latin-1, which is the fastest way in node and python.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if text.is_ascii() {
            return writer.write_all(text.as_bytes());
        }
        let mut units = [0_u16; 2];
        for c in text.chars() {
            if c.is_ascii() {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// What stands for itself in a JSON string.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x80 {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

fn plain(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !PLAIN[usize::from(*byte)]).unwrap_or(bytes.len())
}

/// Appends a JSON string.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let (run, special) = rest.split_at(plain(rest.as_bytes()));
        out.extend_from_slice(run.as_bytes());
        let mut characters = special.chars();
        let Some(character) = characters.next() else { break };
        push_escaped(out, character);
        rest = characters.as_str();
    }
    out.push(b'"');
}

/// Appends a JSON string of Latin-1: each byte is the character of its number.
pub(super) fn push_latin1(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut rest = bytes;
    loop {
        let (run, special) = rest.split_at(plain(rest));
        out.extend_from_slice(run);
        let Some((byte, after)) = special.split_first() else { break };
        push_escaped(out, char::from(*byte));
        rest = after;
    }
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, character: char) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let short = match character {
        '"' | '\\' => character as u8,
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let digit = |shift: u16| DIGITS[usize::from(*unit >> shift & 0xf)];
                out.extend([b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
            return;
        }
    };
    out.extend([b'\\', short]);
}

/// Appends a number in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// Serialises a value whose serialisation cannot fail (string keys, no I/O).
pub(crate) fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Ascii));
    debug_assert!(written.is_ok(), "only types with string keys are serialised");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_pushed_reads_back(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..40), number: u64) {
            let mut json = b"[".to_vec();
            super::push_text(&mut json, &text);
            json.push(b',');
            super::push_latin1(&mut json, &bytes);
            json.push(b',');
            super::push_number(&mut json, number);
            json.push(b']');
            prop_assert!(json.is_ascii());
            let latin1: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            let read: (String, String, u64) = serde_json::from_slice(&json).expect("JSON");
            prop_assert_eq!(read, (text, latin1, number));
        }

        #[test]
        fn any_string_comes_back_from_ascii(text in any::<String>()) {
            let json = super::to_vec(&text);
            prop_assert!(json.is_ascii());
            prop_assert_eq!(serde_json::from_slice::<String>(&json).expect("JSON"), text);
        }
    }
}
