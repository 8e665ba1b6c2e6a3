//! Where things are on this machine, as `scripts/env` has it: one source of truth for scripts and tests.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use anyhow::{Context, bail};

/// The variables of `scripts/env`.
#[derive(Debug, Clone)]
pub struct Place {
    variables: BTreeMap<String, String>,
}

impl Place {
    /// Asks `scripts/env-print`.
    ///
    /// # Errors
    /// When the script fails.
    pub fn find() -> anyhow::Result<Self> {
        let script = root().join("scripts/env-print");
        let output =
            Command::new(&script).output().with_context(|| format!("running {}", script.display()))?;
        if !output.status.success() {
            bail!("{} failed: {}", script.display(), String::from_utf8_lossy(&output.stderr));
        }
        let variables = String::from_utf8(output.stdout)?
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Self { variables })
    }

    /// The path in a variable, whether or not it is there yet.
    ///
    /// # Errors
    /// When `scripts/env` sets no such variable.
    pub fn path(&self, variable: &str) -> anyhow::Result<PathBuf> {
        let path = self.variables.get(variable).map(PathBuf::from);
        path.with_context(|| format!("scripts/env sets no {variable}"))
    }

    /// The path in a variable, which must exist.
    ///
    /// # Errors
    /// When it is not there; the message says which script makes it.
    pub fn existing(&self, variable: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(variable)?;
        if !path.exists() {
            bail!(
                "{} ({variable}) is missing: run `scripts/setup test` and `scripts/build` first",
                path.display()
            );
        }
        Ok(path)
    }
}

/// Root of the clone.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
