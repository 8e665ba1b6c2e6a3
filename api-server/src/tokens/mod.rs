//! Key pairs of namespaces, and the tokens signed with them.

mod issue;
mod keys;

pub use issue::{IssueError, Subject, issue};
pub use keys::{KeyPair, spawn_key_pair};
