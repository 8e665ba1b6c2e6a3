//! Uploaded archives: where they are kept ([`ArchiveStore`]), and the presigned URLs through which they come and go.

mod disk;
mod hold;
mod presign;
mod store;

pub use disk::{Disk, Part, ReceiveError};
pub use hold::hold;
pub use presign::{Method, PresignError, Presigned, Presigner, QUERY};
pub use store::{ArchiveStore, Kept, Placing};
