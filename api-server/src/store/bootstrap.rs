//! The first organization and its key, at the very first start.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, new_id};

/// An organization and its first key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// UUID v4.
    pub organization_id: String,
    /// UUID v4, the value of `X-Auth-Token`. Stored nowhere but in the first key's file.
    #[serde(rename = "api_key")]
    pub key: String,
}

impl Bootstrap {
    /// A pair that nobody has.
    #[must_use]
    pub fn random() -> Self {
        Self { organization_id: new_id(), key: new_id() }
    }
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap").field("organization_id", &self.organization_id).finish_non_exhaustive()
    }
}

/// Why the first key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("the first API key cannot be kept in {path}: {source}")]
    File {
        /// Which file.
        path: std::path::PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl Store {
    /// Makes the first organization and its key when there is no organization yet, else `None`.
    ///
    /// The key is written to `file` (mode 0600) before the store knows it, so a kill in between loses nothing:
    /// the next start takes the pair from the file.
    ///
    /// # Errors
    /// [`BootstrapError`].
    pub async fn bootstrap(&self, file: &Path) -> Result<Option<Bootstrap>, BootstrapError> {
        if !self.organizations().await?.is_empty() {
            return Ok(None);
        }
        let first = keep_in(file).map_err(|source| BootstrapError::File { path: file.to_owned(), source })?;
        self.create_organization(&first).await?;
        Ok(Some(first))
    }
}

/// The pair in the file, or a new pair that is in the file now.
fn keep_in(file: &Path) -> io::Result<Bootstrap> {
    if let Ok(text) = fs::read_to_string(file)
        && let Ok(kept) = serde_json::from_str(&text)
    {
        return Ok(kept);
    }
    let first = Bootstrap::random();
    let temporary = file.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    opened.write_all(format!("{}\n", serde_json::to_string_pretty(&first)?).as_bytes())?;
    opened.sync_all()?;
    fs::rename(&temporary, file)?;
    Ok(first)
}
