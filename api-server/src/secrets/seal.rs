//! Sealing of stored values: AES-256-GCM, bound to table, column and row, so that a value moved to another row
//! does not open there.
//!
//! A sealed value is `version (1) | key id (4) | nonce (12) | ciphertext | tag (16)`. The key id tells which key
//! sealed it, so that several are good while they are rotated (`rotation.rs`).

use std::collections::BTreeMap;

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use secrecy::zeroize::Zeroizing;

use super::{KeyId, Keys, SecretMap};

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// Where a value is stored: it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Table.
    pub table: &'static str,
    /// Column.
    pub column: &'static str,
    /// Id of the row.
    pub row: &'a str,
}

/// Why a stored value does not open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no sealed value.
    #[error("{0}.{1} holds no sealed value")]
    Malformed(&'static str, &'static str),
    /// A key sealed it that is not in the key file.
    #[error(
        "{0}.{1} was sealed with key {2}, which the key file does not have: is it the one of this database?"
    )]
    OtherKey(&'static str, &'static str, KeyId),
    /// It was changed, or belongs to another row.
    #[error("{0}.{1} does not open: it was changed or moved from another row")]
    Forged(&'static str, &'static str),
}

/// Seals and opens stored values.
pub struct Sealer {
    keys: Keys,
}

impl Sealer {
    /// The sealer of a key file's keys.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        Self { keys: keys.clone() }
    }

    /// The keys that it seals with.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Seals bytes for a place. Only inside a write of the store: a rotation counts on it that what was not written
    /// when its own write begins is sealed with the new key.
    #[must_use]
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Vec<u8> {
        let key = self.keys.current();
        let mut body = plaintext.to_vec();
        #[expect(clippy::expect_used, reason = "fails only without system randomness or over 64 GiB")]
        let nonce = key
            .seal()
            .seal_in_place_append_tag(Aad::from(bound_to(key.id(), place)), &mut body)
            .expect("random bytes and a value below 64 GiB");
        let mut sealed = Vec::with_capacity(HEAD_LEN + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id().bytes());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`OpenError`]: no sealed value, another key's, or one that was changed or moved.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let id = key_id(sealed).ok_or(OpenError::Malformed(place.table, place.column))?;
        let key = self.keys.of(id).ok_or(OpenError::OtherKey(place.table, place.column, id))?;
        let (nonce, body) = sealed[HEAD_LEN - NONCE_LEN..].split_at(NONCE_LEN);
        let forged = || OpenError::Forged(place.table, place.column);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| forged())?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from(bound_to(id, place));
        let length = key.seal().open_in_place(nonce, aad, &mut body).map_err(|_| forged())?.len();
        body.truncate(length);
        Ok(body)
    }

    /// Seals variables.
    #[must_use]
    pub fn seal_map(&self, place: Place<'_>, map: &SecretMap) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "a map of strings always serialises")]
        let json = Zeroizing::new(serde_json::to_vec(map.expose()).expect("a map of strings"));
        self.seal(place, &json)
    }

    /// Opens variables.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn open_map(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretMap, OpenError> {
        let json = self.open(place, sealed)?;
        let map: BTreeMap<String, String> =
            serde_json::from_slice(&json).map_err(|_| OpenError::Malformed(place.table, place.column))?;
        Ok(SecretMap::from(map))
    }
}

/// Which key sealed it; `None`: it is no sealed value.
pub(crate) fn key_id(sealed: &[u8]) -> Option<KeyId> {
    if sealed.len() < HEAD_LEN || sealed[0] != VERSION {
        return None;
    }
    Some(KeyId([sealed[1], sealed[2], sealed[3], sealed[4]]))
}

/// None of the parts can hold a NUL, so two places never read the same.
fn bound_to(key: KeyId, place: Place<'_>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&key.bytes());
    bytes.extend_from_slice([place.table, place.column, place.row].join("\0").as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(directory: &tempfile::TempDir, name: &str) -> Sealer {
        Sealer::new(&Keys::load_or_create(&directory.path().join(name)).unwrap())
    }

    const HERE: Place<'_> = Place { table: "functions", column: "environment", row: "a" };

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let directory = tempfile::tempdir().unwrap();
        let sealer = sealer(&directory, "key");
        let sealed = sealer.seal(HERE, b"hunter2");
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(sealer.open(HERE, &sealed).unwrap().as_slice(), b"hunter2");
        for elsewhere in [
            Place { row: "b", ..HERE },
            Place { table: "namespaces", ..HERE },
            Place { column: "private_key", ..HERE },
        ] {
            assert!(matches!(sealer.open(elsewhere, &sealed), Err(OpenError::Forged(..))), "{elsewhere:?}");
        }
    }

    #[test]
    fn every_changed_bit_is_noticed_and_another_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let own = sealer(&directory, "key");
        let sealed = own.seal(HERE, b"x");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(own.open(HERE, &changed).is_err(), "bit {bit}");
        }
        assert!(own.open(HERE, &sealed[..10]).is_err());
        let other = sealer(&directory, "other");
        assert!(matches!(other.open(HERE, &sealed), Err(OpenError::OtherKey(..))));
    }
}
