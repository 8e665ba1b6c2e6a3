//! Secrets at rest and in memory: what is stored is sealed and bound to its row; what is held cannot be printed.

mod key;
mod keyfile;
mod keys;
mod map;
mod seal;

pub use key::KeyId;
pub(crate) use key::{MasterKey, hmac_of};
pub use keyfile::KeyFileError;
pub use keys::Keys;
pub use map::SecretMap;
pub(crate) use seal::key_id;
pub use seal::{OpenError, Place, Sealer};
