//! The namespace's public keys: read once, at the start, and refused there when they cannot verify anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The shortest modulus that is accepted, in bits.
const SHORTEST: usize = 2048;
/// The longest that the verification takes, in bits.
const LONGEST: usize = 8192;
/// Most keys of one namespace: an old and a new one, and room. Each is tried for a token of its length.
const MOST: usize = 8;

/// The keys that may have signed a token: at least one.
pub(crate) struct Keys(Vec<Key>);

/// An RSA public key, both numbers big-endian without leading zeros.
pub(super) struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// Why a text has no usable keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("it is a private key; the public one is wanted")]
    Private,
    #[error("it has no PEM block (-----BEGIN RSA PUBLIC KEY----- or -----BEGIN PUBLIC KEY-----)")]
    NoPem,
    #[error("a PEM block has no end, or is not base64")]
    Broken,
    #[error("it has a {0:?}; RSA PUBLIC KEY or PUBLIC KEY is wanted")]
    Label(String),
    #[error("the content of a block is no RSA public key")]
    NoRsaKey,
    #[error("a key has {0} bits; {SHORTEST} to {LONGEST} are accepted")]
    Length(usize),
    #[error("it has more than {MOST} keys")]
    Many,
}

impl Keys {
    /// One or several PEM blocks, PKCS#1 or SPKI. `\n` written as two characters is a line's end, as in some
    /// `.env` files. All blocks must be good: one that is not would look like a key that has gone.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        let text = pem.replace("\\r", "\r").replace("\\n", "\n");
        let mut rest = text.as_str();
        let mut keys = Vec::new();
        while let Some(block) = next_block(&mut rest)? {
            if keys.len() == MOST {
                return Err(KeyError::Many);
            }
            keys.push(block.key()?);
        }
        if keys.is_empty() { Err(KeyError::NoPem) } else { Ok(Self(keys)) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

/// One PEM block (RFC 7468).
struct Block<'a> {
    label: &'a str,
    der: Vec<u8>,
}

/// Takes the next block from the front of `rest`. Text between blocks is explanation.
fn next_block<'a>(rest: &mut &'a str) -> Result<Option<Block<'a>>, KeyError> {
    let Some((_, after)) = rest.split_once("-----BEGIN ") else { return Ok(None) };
    let (label, after) = after.split_once("-----").ok_or(KeyError::Broken)?;
    let (body, after) = after.split_once(&format!("-----END {label}-----")).ok_or(KeyError::Broken)?;
    let base64: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    *rest = after;
    Ok(Some(Block { label, der: STANDARD.decode(base64).map_err(|_| KeyError::Broken)? }))
}

impl Block<'_> {
    fn key(&self) -> Result<Key, KeyError> {
        let pkcs1 = match self.label {
            "RSA PUBLIC KEY" => Some(&self.der[..]),
            "PUBLIC KEY" => spki(&self.der),
            other => return Err(KeyError::Label(other.chars().take(40).collect())),
        };
        pkcs1.and_then(Key::from_pkcs1).ok_or(KeyError::NoRsaKey)?.of_good_length()
    }
}

impl Key {
    pub(super) fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    pub(super) fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// `SEQUENCE { INTEGER modulus, INTEGER exponent }`, the whole of `der`; two odd numbers, the exponent at least 3
    /// and in 33 bits, since no other can verify anything.
    fn from_pkcs1(der: &[u8]) -> Option<Self> {
        let (modulus, exponent) = {
            let content = whole(SEQUENCE, der)?;
            let (modulus, rest) = element(INTEGER, content)?;
            (positive(modulus)?, positive(whole(INTEGER, rest)?)?)
        };
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        let good_exponent = is_odd(exponent) && exponent != [1] && bits(exponent) <= 33;
        (is_odd(modulus) && good_exponent)
            .then(|| Self { modulus: modulus.into(), exponent: exponent.into() })
    }

    fn of_good_length(self) -> Result<Self, KeyError> {
        let bits = bits(&self.modulus);
        if (SHORTEST..=LONGEST).contains(&bits) { Ok(self) } else { Err(KeyError::Length(bits)) }
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// `rsaEncryption` with its NULL, the only algorithm of an SPKI that is taken.
const RSA_ENCRYPTION: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];

/// The PKCS#1 key within `SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING }`.
fn spki(der: &[u8]) -> Option<&[u8]> {
    let (algorithm, rest) = element(SEQUENCE, whole(SEQUENCE, der)?)?;
    let (unused_bits, key) = whole(BIT_STRING, rest)?.split_first()?;
    (algorithm == RSA_ENCRYPTION && *unused_bits == 0).then_some(key)
}

/// The content of the one element that is all there is.
fn whole(tag: u8, der: &[u8]) -> Option<&[u8]> {
    element(tag, der).filter(|(_, after)| after.is_empty()).map(|(content, _)| content)
}

/// The content of the first element, which is of this type, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f)).filter(|(b, _)| b.len() <= 4)?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length)
}

/// Without the sign byte; nothing for zero and negative numbers.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    if integer.first()? & 0x80 != 0 {
        return None;
    }
    Some(&integer[integer.iter().position(|byte| *byte != 0)?..])
}

/// Of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PKCS1: &str = include_str!("../../../tests/shim/keys/pkcs1.pem");
    const SPKI: &str = include_str!("../../../tests/shim/keys/spki.pem");

    fn refusal(text: &str) -> KeyError {
        Keys::from_pem(text).map(|_| ()).expect_err("refused")
    }

    fn pkcs1(modulus: &[u8], exponent: &[u8]) -> String {
        let integer = |number: &[u8]| [&[INTEGER, 0x82][..], &length(number), number].concat();
        let content = [integer(modulus), integer(exponent)].concat();
        let der = [&[SEQUENCE, 0x82][..], &length(&content), &content].concat();
        let base64 = STANDARD.encode(der);
        format!("-----BEGIN RSA PUBLIC KEY-----\n{base64}\n-----END RSA PUBLIC KEY-----\n")
    }

    fn length(content: &[u8]) -> [u8; 2] {
        u16::try_from(content.len()).expect("short").to_be_bytes()
    }

    fn modulus(first: u8, bytes: usize) -> Vec<u8> {
        [&[0, first][..], &vec![0xff; bytes - 1]].concat()
    }

    #[test]
    fn both_forms_and_every_way_of_writing_lines_give_the_same_key() {
        let of = |text: &str| Keys::from_pem(text).expect(text).0.remove(0).modulus;
        let modulus = of(PKCS1);
        for text in [
            SPKI.to_owned(),
            PKCS1.replace('\n', "\\n"),
            SPKI.replace('\n', "\\n"),
            PKCS1.replace('\n', "\r\n"),
            PKCS1.replace('\n', "\\r\\n"),
            PKCS1.replace('\n', " "),
            format!("the namespace's key\n{PKCS1}\nuntil next year"),
        ] {
            assert_eq!(of(&text), modulus, "{text}");
        }
    }

    #[test]
    fn several_blocks_are_several_keys_and_one_that_is_bad_refuses_all() {
        assert_eq!(Keys::from_pem(&format!("{PKCS1}{SPKI}")).expect("keys").0.len(), 2);
        assert_eq!(refusal(&format!("{PKCS1}{}", PKCS1.replacen("MII", "AII", 1))), KeyError::NoRsaKey);
        assert_eq!(refusal(&format!("{PKCS1}-----BEGIN PUBLIC KEY-----\nAA==")), KeyError::Broken);
        assert_eq!(Keys::from_pem(&PKCS1.repeat(MOST)).expect("keys").0.len(), MOST);
        assert_eq!(refusal(&PKCS1.repeat(MOST + 1)), KeyError::Many);
    }

    #[test]
    fn what_is_no_public_key_is_told_apart() {
        for private in ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let block = format!("-----BEGIN {private}-----\nAA==\n-----END {private}-----\n");
            assert_eq!(refusal(&block), KeyError::Private);
            assert_eq!(refusal(&format!("{PKCS1}{block}")), KeyError::Private);
        }
        for text in ["", "x", "ssh-rsa AAAA", "{}"] {
            assert_eq!(refusal(text), KeyError::NoPem);
        }
        for broken in ["-----BEGIN PUBLIC KEY", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----"] {
            assert_eq!(refusal(broken), KeyError::Broken);
        }
        let certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
        assert_eq!(refusal(certificate), KeyError::Label("CERTIFICATE".into()));
    }

    #[test]
    fn only_rsa_keys_of_2048_to_8192_bits_that_can_verify() {
        for (first, bytes, bits) in [(0xff, 128, 1024), (0x7f, 256, 2047), (0x01, 1025, 8193)] {
            assert_eq!(refusal(&pkcs1(&modulus(first, bytes), &[1, 0, 1])), KeyError::Length(bits));
        }
        for (first, bytes) in [(0x80, 256), (0xff, 384), (0xff, 1024)] {
            assert!(Keys::from_pem(&pkcs1(&modulus(first, bytes), &[3])).is_ok(), "{bytes}");
        }
        let good = modulus(0xff, 256);
        let even = [&good[..256], &[0xfe]].concat();
        for (modulus, exponent) in [
            (&even[..], &[1_u8, 0, 1][..]),
            (&good[1..], &[1, 0, 1]), // negative
            (&good, &[1]),
            (&good, &[2]),
            (&good, &[0]),
            (&good, &[]),
            (&good, &[3, 0, 0, 0, 1, 1]),
            (&[0; 256], &[1, 0, 1]),
        ] {
            assert_eq!(refusal(&pkcs1(modulus, exponent)), KeyError::NoRsaKey, "{exponent:?}");
        }
        // An elliptic curve's key has the same label.
        let ec = include_str!("../../../tests/shim/keys/ec_spki.pem");
        assert_eq!(refusal(ec), KeyError::NoRsaKey);
    }

    #[test]
    fn truncated_der_is_no_key() {
        let base64: String = PKCS1.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(base64).expect("base64");
        for end in 0..der.len() {
            assert!(Key::from_pkcs1(&der[..end]).is_none(), "{end}");
        }
        assert!(Key::from_pkcs1(&[&der[..], &[0]].concat()).is_none());
        assert!(Key::from_pkcs1(&der).is_some());
    }
}
