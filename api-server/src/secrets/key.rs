//! One master key: 32 random bytes, from which a key is derived for each purpose.

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, zeroize::Zeroizing};
use sha2::Sha256;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// Which key it is: told in each sealed value, and no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub(crate) [u8; 4]);

impl KeyId {
    /// As a sealed value has it.
    #[must_use]
    pub fn bytes(&self) -> [u8; 4] {
        self.0
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A master key. It cannot be printed.
pub(crate) struct MasterKey {
    bytes: SecretBox<[u8; KEY_BYTES]>,
    id: KeyId,
    seal: RandomizedNonceKey,
}

impl MasterKey {
    pub(super) fn new(bytes: SecretBox<[u8; KEY_BYTES]>) -> Self {
        let id = derive(&bytes, "zipship seal key id v1");
        let seal = derive(&bytes, "zipship seal v1");
        #[expect(clippy::expect_used, reason = "the key has the length that AES-256 wants")]
        let seal = RandomizedNonceKey::new(&AES_256_GCM, seal.as_slice()).expect("a 32-byte key");
        Self { bytes, id: KeyId([id[0], id[1], id[2], id[3]]), seal }
    }

    /// A new one; `None` when the system gives no random bytes.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = SecretBox::new(Box::new([0; KEY_BYTES]));
        aws_lc_rs::rand::fill(secrecy::ExposeSecretMut::expose_secret_mut(&mut bytes)).ok()?;
        Some(Self::new(bytes))
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    /// What seals stored values.
    pub(super) fn seal(&self) -> &RandomizedNonceKey {
        &self.seal
    }

    /// The key itself, for the key file.
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        self.bytes.expose_secret()
    }

    /// A key for one purpose. Different purposes give unrelated keys.
    pub(crate) fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        derive(&self.bytes, purpose)
    }
}

fn derive(bytes: &SecretBox<[u8; KEY_BYTES]>, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut mac = hmac_of(bytes.expose_secret());
    mac.update(purpose.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// HMAC-SHA256 under a 32-byte key.
pub(crate) fn hmac_of(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}
