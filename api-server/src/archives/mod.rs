//! Uploaded archives: presigned URLs, and the files behind them.

mod disk;
mod presign;

pub use disk::{Disk, ReceiveError, Received};
pub use presign::{Method, PresignError, Presigned, Presigner, QUERY};
