//! Where images and recipes are when no option says so.

use std::path::{Path, PathBuf};

pub(crate) use crate::programs::cache;
pub(super) use crate::programs::workers;

/// Where base images are kept.
pub(crate) fn images() -> PathBuf {
    cache().join("images")
}

/// The folder of the recipes.
pub(super) fn recipes(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    crate::programs::found("recipes", "--recipes", named, &["images"], "images")
}
