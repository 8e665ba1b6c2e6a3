//! `--sbom` and `--provenance`: documents about the image, attached to it and, when a file is named, written there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use builder::attest::{self, Facts};
use clap::Args;
use oci::artifact::{Artifact, Attachment};

/// The moment that reproducible builds name, in seconds since the epoch.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Which documents are made.
#[derive(Debug, Args)]
pub(super) struct AttestOptions {
    /// Attach a list of what is in the image (SPDX 2.3); with =FILE, write it there too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    sbom: Option<Option<PathBuf>>,
    /// Attach how the image was made (SLSA v1 provenance); with =FILE, write it there too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    provenance: Option<Option<PathBuf>>,
}

impl AttestOptions {
    /// Whether anything is asked for.
    pub(super) fn wanted(&self) -> bool {
        self.sbom.is_some() || self.provenance.is_some()
    }

    /// The documents about one image. `apart` tells its files from those of other machines' images.
    pub(super) fn made(&self, facts: Facts<'_>, apart: Option<&str>) -> anyhow::Result<Vec<Attachment>> {
        let created = created()?;
        let facts = Facts { created: created.as_deref(), ..facts };
        let mut made = Vec::new();
        let mut add = |artifact: Artifact, file: &Option<PathBuf>| -> anyhow::Result<()> {
            if let Some(file) = file {
                write(&artifact, file, apart)?;
            }
            made.push(artifact.attached_to(facts.image));
            Ok(())
        };
        if let Some(file) = &self.sbom {
            add(attest::sbom(&facts)?, file)?;
        }
        if let Some(file) = &self.provenance {
            add(attest::provenance(&facts), file)?;
        }
        Ok(made)
    }
}

fn write(artifact: &Artifact, file: &Path, apart: Option<&str>) -> anyhow::Result<()> {
    let mut path = file.as_os_str().to_owned();
    apart.into_iter().for_each(|apart| path.push(format!(".{apart}")));
    fs::write(&path, &artifact.content).with_context(|| format!("writing {}", Path::new(&path).display()))
}

/// The time that the environment names, as the documents write it.
fn created() -> anyhow::Result<Option<String>> {
    let Some(text) = std::env::var_os(SOURCE_DATE_EPOCH).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let time = time.with_context(|| format!("${SOURCE_DATE_EPOCH} is no number of seconds"))?;
    Ok(Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}
