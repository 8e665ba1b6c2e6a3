//! The namespace's public key: read once, at the start, and refused there when it cannot verify anything.

use jsonwebtoken::{DecodingKey, DecodingKeyKind};

/// The shortest modulus that is accepted, in bits.
const SHORTEST: usize = 2048;
/// The longest that the verification takes, in bits.
const LONGEST: usize = 8192;

/// An RSA public key.
pub(crate) struct Key(pub(super) DecodingKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Why a text is no such key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("it is a private key; the public one is wanted")]
    Private,
    #[error("it is no PEM with an RSA public key: {0}")]
    NoPem(String),
    #[error("its content is no RSA public key")]
    NoRsaKey,
    #[error("it has {0} bits; {SHORTEST} to {LONGEST} are accepted")]
    Length(usize),
}

impl Key {
    /// PKCS#1 or SPKI PEM; `\n` written as two characters is a line's end, as in some `.env` files.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        let key = DecodingKey::from_rsa_pem(pem.replace("\\n", "\n").as_bytes())
            .map_err(|error| KeyError::NoPem(error.to_string()))?;
        let DecodingKeyKind::SecretOrDer(der) = key.kind() else { return Err(KeyError::NoRsaKey) };
        let bits = modulus_bits(der).ok_or(KeyError::NoRsaKey)?;
        if !(SHORTEST..=LONGEST).contains(&bits) {
            return Err(KeyError::Length(bits));
        }
        Ok(Self(key))
    }
}

/// Length of the modulus in `SEQUENCE { INTEGER modulus, INTEGER exponent }`, the whole of `der`.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (content, after) = element(SEQUENCE, der)?;
    let (modulus, rest) = element(INTEGER, content)?;
    let (exponent, end) = element(INTEGER, rest)?;
    if !after.is_empty() || !end.is_empty() || exponent.is_empty() {
        return None;
    }
    let modulus = &modulus[modulus.iter().position(|byte| *byte != 0)?..];
    Some(modulus.len() * 8 - modulus[0].leading_zeros() as usize)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_a_modulus() {
        let key = |modulus: &[u8]| {
            let length = u8::try_from(modulus.len()).expect("short");
            [&[0x30, length + 5, 2, length][..], modulus, &[2, 1, 3]].concat()
        };
        assert_eq!(modulus_bits(&key(&[0, 0xff, 0xff])), Some(16));
        assert_eq!(modulus_bits(&key(&[0x01, 0xff])), Some(9));
        let whole = key(&[0x01, 0xff]);
        for bad in [&whole[..whole.len() - 1], &whole[1..], &[], &[0x30, 0x84], &[0x30, 0, 0], &key(&[0])] {
            assert_eq!(modulus_bits(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_told_apart() {
        let refusal = |text: &str| Key::from_pem(text).map(|_| ()).expect_err("refused");
        assert_eq!(
            refusal("-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----"),
            KeyError::Private
        );
        assert!(matches!(refusal("x"), KeyError::NoPem(_)));
        let nonsense = "-----BEGIN RSA PUBLIC KEY-----\nAA==\n-----END RSA PUBLIC KEY-----";
        assert!(matches!(refusal(nonsense), KeyError::NoPem(_) | KeyError::NoRsaKey));
        let short = "-----BEGIN RSA PUBLIC KEY-----\nMAgCAwD//wIBAw==\n-----END RSA PUBLIC KEY-----";
        assert_eq!(refusal(short), KeyError::Length(16));
    }
}
