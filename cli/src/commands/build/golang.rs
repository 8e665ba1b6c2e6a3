//! The compiler of `zipship build`: the caller's own code on the caller's own machine.

use std::path::PathBuf;
use std::time::Duration;

use builder::golang::{LocalCompile, has_no_network};
use clap::Args;

use crate::commands::images::defaults;
use crate::go_proxy;

/// How long compiling a Go function may take.
const COMPILE_TIME: Duration = Duration::from_secs(600);

/// Options for golang functions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for golang")]
pub(crate) struct GoOptions {
    /// A Go toolchain (its GOROOT) [default: that of `go` on the PATH].
    #[arg(long, value_name = "DIR")]
    go_root: Option<PathBuf>,
    /// Go's build cache [default: $XDG_CACHE_HOME/zipship/go-build].
    #[arg(long, value_name = "DIR")]
    go_cache: Option<PathBuf>,
    /// Go module proxies for modules that are not vendored, with commas; `off` for none [default: `go env GOPROXY`,
    /// without `direct`].
    #[arg(long, value_name = "URL")]
    go_proxy: Option<String>,
}

impl GoOptions {
    /// The compiler; `None` when there is no toolchain.
    pub(super) fn compiler(&self) -> anyhow::Result<Option<LocalCompile>> {
        let Some(toolchain) = self.go_root.clone().or_else(root_of_path) else { return Ok(None) };
        let network =
            if has_no_network() { "without network, but in no other sandbox" } else { "in no sandbox" };
        eprintln!(
            "compiling with {}, {network}: this is for your own code",
            toolchain.join("bin/go").display()
        );
        Ok(Some(LocalCompile {
            proxy: go_proxy::of_machine(self.go_proxy.as_deref(), Some(&toolchain))?,
            modules: defaults::cache().join("go-modules"),
            cache: self.go_cache.clone().unwrap_or_else(|| defaults::cache().join("go-build")),
            toolchain,
            timeout: COMPILE_TIME,
        }))
    }
}

fn root_of_path() -> Option<PathBuf> {
    let said = std::process::Command::new("go").args(["env", "GOROOT"]).output().ok()?;
    let root = PathBuf::from(String::from_utf8(said.stdout).ok()?.trim());
    root.join("bin/go").is_file().then_some(root)
}
