//! Uploaded archives: where they are kept ([`ArchiveStore`]), and the presigned URLs through which they come and go.

mod bucket;
mod disk;
mod hold;
mod presign;
mod settle;
mod store;

pub use bucket::{
    Bucket, BucketAccess, BucketError, BucketPlace, BucketPlaceError, DEFAULT_REGION, Uploaded,
};
pub use disk::{Disk, Part, ReceiveError};
pub use hold::hold;
pub use presign::{Method, PresignError, Presigned, Presigner, QUERY};
pub use settle::SettleError;
pub use store::{ArchiveError, ArchivePlace, ArchiveStore, Kept, Placing};
