//! Content digests (`sha256:<64 hex>`, `sha512:<128 hex>`), and hashing as a stream.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

/// The algorithms of the OCI image specification ("Registered Algorithms"); everything of ours is SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// SHA-256, which everybody knows.
    #[default]
    Sha256,
    /// SHA-512, which a registry may meet.
    Sha512,
}

impl Algorithm {
    /// Both, the usual one first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Its name before the colon, and in an image layout's `blobs` directory.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits a digest has.
    #[must_use]
    pub fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A content digest in its canonical text form: the algorithm, a colon, and lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Box<str>);

/// A text that is not a digest of a supported algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a digest: expected sha256: and 64 lower-case hexadecimal digits, or sha512: and 128")]
pub struct InvalidDigest(pub String);

impl Digest {
    /// Parses `sha256:<64 hex>` and `sha512:<128 hex>`. Other algorithms are refused: nothing here could verify
    /// them.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        let is_hex = |hex: &str| hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let fits = |(name, hex): (&str, &str)| {
            Algorithm::ALL.iter().any(|known| known.name() == name && known.digits() == hex.len())
                && is_hex(hex)
        };
        match text.split_once(':').is_some_and(fits) {
            true => Ok(Self(text.into())),
            false => Err(InvalidDigest(text.chars().take(100).collect())),
        }
    }

    /// The digest of these bytes, SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        Self::by(Algorithm::Sha256, bytes)
    }

    /// The digest of these bytes by an algorithm.
    #[must_use]
    pub fn by(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::by(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// How it was made.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0.starts_with("sha512:") {
            true => Algorithm::Sha512,
            false => Algorithm::Sha256,
        }
    }

    /// The digest of other bytes by the same algorithm: equal when they are what this one is of.
    #[must_use]
    pub fn likewise(&self, bytes: &[u8]) -> Self {
        Self::by(self.algorithm(), bytes)
    }

    /// The whole text, `<algorithm>:<hex>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal digits without the algorithm, which their number tells.
    pub fn hex(&self) -> &str {
        &self.0[self.algorithm().name().len() + 1..]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0.into()
    }
}

/// Takes bytes as they pass by and ends in their [`Digest`]. Also an [`io::Write`], for copy loops.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    // Larger, and rarely met.
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// A hasher for SHA-256 that has seen nothing.
    pub fn new() -> Self {
        Self::by(Algorithm::Sha256)
    }

    /// A hasher for an algorithm that has seen nothing.
    #[must_use]
    pub fn by(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::new(Sha512::new())),
        })
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes seen.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(hasher) => text(Algorithm::Sha256, &hasher.finalize()),
            State::Sha512(hasher) => text(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

fn text(algorithm: Algorithm, hash: &[u8]) -> Digest {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(algorithm.name().len() + 1 + algorithm.digits());
    text.push_str(algorithm.name());
    text.push(':');
    for byte in hash {
        text.push(HEX[usize::from(byte >> 4)].into());
        text.push(HEX[usize::from(byte & 15)].into());
    }
    Digest(text.into())
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::of(b"").as_str(), EMPTY);
        assert_eq!(Digest::parse(EMPTY).unwrap().hex(), &EMPTY[7..]);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "sha256:",
            "sha512:00",
            &EMPTY[7..],
            &EMPTY.to_uppercase(),
            &format!("{EMPTY}0"),
            "sha256:../../../etc",
        ] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_other_algorithm() {
        let digest = Digest::by(Algorithm::Sha512, b"");
        assert!(digest.as_str().starts_with("sha512:cf83e1357eefb8bd"), "{digest}");
        assert_eq!((digest.hex().len(), digest.algorithm()), (128, Algorithm::Sha512));
        assert_eq!(Digest::parse(digest.as_str()).unwrap(), digest);
        assert_eq!(digest.likewise(b""), digest);
        assert_ne!(digest.likewise(b"x"), digest);
        assert!(Digest::parse(&format!("sha256:{}", digest.hex())).is_err());
    }

    #[test]
    fn json_is_the_text() {
        let json = format!("\"{EMPTY}\"");
        let digest: Digest = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&digest).unwrap(), json);
        assert!(serde_json::from_str::<Digest>("\"md5:0\"").is_err());
    }
}
