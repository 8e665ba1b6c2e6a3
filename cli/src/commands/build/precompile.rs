//! `--precompile`: compiled caches in a layer of their own.

use std::time::Duration;

use builder::precompile::LocalPrecompile;
use clap::Args;

/// How long the image's interpreter may take.
const TIME: Duration = Duration::from_secs(300);

/// Compiled caches.
#[derive(Debug, Args)]
pub(super) struct PrecompileOptions {
    /// Add what the interpreter makes of the sources at every start (.pyc, node's compile cache), made with the image's own
    /// interpreter in a sandbox; needs user namespaces and util-linux. The function is not run.
    #[arg(long)]
    precompile: bool,
}

impl PrecompileOptions {
    pub(super) fn of_this_machine(&self) -> Option<LocalPrecompile> {
        self.precompile.then_some(LocalPrecompile { timeout: TIME })
    }
}
