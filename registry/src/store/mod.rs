//! Where content is.
//!
//! ```text
//! blobs/<algorithm>/<hex>               content, once for all repositories: blobs and manifests
//! repositories/<name>/_blobs/<hex>      empty: this blob is visible in this repository
//! repositories/<name>/_manifests/<hex>  the manifest's media type
//! repositories/<name>/_tags/<tag>       the digest the tag points to
//! repositories/<name>/_referrers/<hex>/<hex>  empty: the second manifest's subject is the first
//! uploads/<uuid>                        bytes of an upload under way
//! uploads/<uuid>.owner                  the repository that it goes to
//! temporary/<uuid>                      files before they get their name; emptied at start
//! ```
//! A repository's name cannot have a component that begins with `_`, so the two kinds of directories never
//! meet. Every file gets its name by a rename when it is complete, and a name appears only after what it
//! points to: content, then links, then manifests, then tags. A process may be killed at any point.
//! Nothing is flushed to the disk explicitly: after a loss of power the newest content may be missing.

mod collection;
mod disk;
mod sessions;
mod upload;

pub(crate) use collection::Collection;
pub use disk::Disk;
pub(crate) use disk::blocking;
pub(crate) use sessions::{Busy, Sessions, Taken};
pub(crate) use upload::{AppendError, Upload};
