//! Where archives come from and where they are kept.

use std::path::PathBuf;
use std::process::Command;

use builder::base::Mirrors;
use clap::Args;

use super::defaults;

/// Options of the commands that download.
#[derive(Debug, Args)]
pub(super) struct Sources {
    /// Where downloads are kept [default: $XDG_CACHE_HOME/zipship/downloads].
    #[arg(long, value_name = "DIR")]
    downloads: Option<PathBuf>,
    /// A Debian mirror instead of apt's; may be given several times.
    #[arg(long, value_name = "URL")]
    debian_mirror: Vec<String>,
    /// An npm registry instead of npm's, for `build`; may be given several times.
    #[arg(long, value_name = "URL")]
    npm_registry: Vec<String>,
    /// A Python package index instead of pip's, for `build`; may be given several times.
    #[arg(long, value_name = "URL")]
    python_index: Vec<String>,
}

impl Sources {
    pub(super) fn downloads(&self) -> PathBuf {
        self.downloads.clone().unwrap_or_else(|| defaults::cache().join("downloads"))
    }

    pub(super) fn mirrors(&self) -> Mirrors {
        Mirrors::of_this_machine()
            .with_debian(self.debian_mirror.clone())
            .with_npm(self.npm_registry.clone())
            .with_python(self.python_index.clone())
    }

    /// The mirrors, as options of another process of ours.
    pub(super) fn pass_on(&self, command: &mut Command) {
        for (option, values) in [
            ("--debian-mirror", &self.debian_mirror),
            ("--npm-registry", &self.npm_registry),
            ("--python-index", &self.python_index),
        ] {
            for value in values {
                command.args([option, value]);
            }
        }
    }
}
