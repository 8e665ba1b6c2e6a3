//! Secrets at rest and in memory: what is stored is sealed and bound to its row; what is held cannot be printed.

mod keyfile;
mod map;
mod seal;

pub(crate) use keyfile::hmac_of;
pub use keyfile::{KeyFileError, MasterKey};
pub use map::SecretMap;
pub use seal::{OpenError, Place, Sealer};
