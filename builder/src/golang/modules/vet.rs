//! What a proxy sent, before a go tool sees it. The hashes of go.sum are the go tool's own to check: twice, when
//! it fetches and when it compiles.

use super::request::Kind;
use crate::zip::{self, ArchiveLimits};

/// Bytes of the largest `.info`, `.mod` or list.
const DOCUMENT_BYTES: usize = 4 << 20;

/// Bytes of the module unpacked (0 for all but a zip), or why the file is not passed on.
pub(super) fn vet(kind: &Kind, bytes: &[u8], limits: &ArchiveLimits) -> Result<u64, String> {
    match kind {
        Kind::Question | Kind::Document if bytes.len() > DOCUMENT_BYTES => {
            Err(format!("{} bytes, at most {DOCUMENT_BYTES} are taken", bytes.len()))
        }
        Kind::Question | Kind::Document => Ok(0),
        Kind::Zip { prefix } => vet_zip(prefix, bytes, limits),
    }
}

/// A module's zip has plain files only, each of them below `module@version/`.
fn vet_zip(prefix: &str, bytes: &[u8], limits: &ArchiveLimits) -> Result<u64, String> {
    let archive = zip::vet(bytes, limits).map_err(|refusal| refusal.to_string())?;
    let mut unpacked = 0;
    for entry in &archive.entries {
        let below = entry.path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        match entry.kind {
            zip::Kind::Link { .. } => return Err(format!("{} is a link", entry.path)),
            _ if !below => return Err(format!("{} is not below {prefix}/", entry.path)),
            zip::Kind::File { data, .. } => unpacked += data.size,
            zip::Kind::Directory => {}
        }
    }
    Ok(unpacked)
}
