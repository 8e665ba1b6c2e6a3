//! Where things are when no option says so: beside the current directory in a checkout, else beside the executable.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where `cargo build --profile shim` leaves the static shim.
const BUILT_SHIM: &str = "target/x86_64-unknown-linux-gnu/shim/zipship-shim";

/// `$XDG_CACHE_HOME/zipship`, or `~/.cache/zipship`.
pub(crate) fn cache() -> PathBuf {
    let home =
        || env::var_os("HOME").map_or_else(|| PathBuf::from("/var/cache"), |h| Path::new(&h).join(".cache"));
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.unwrap_or_else(home).join("zipship")
}

/// Where base images are kept.
pub(crate) fn images() -> PathBuf {
    cache().join("images")
}

/// The folder of the recipes.
pub(super) fn recipes(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    found("recipes", "--recipes", named, &["images"], "images")
}

/// The folder of the worker programs.
pub(super) fn workers(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    found("worker programs", "--workers", named, &["runtime-shim/workers"], "workers")
}

/// The shim's executable.
pub(super) fn shim(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let in_target = env::var_os("CARGO_TARGET_DIR").map(|target| {
        Path::new(&target).join("x86_64-unknown-linux-gnu/shim/zipship-shim").display().to_string()
    });
    let here: Vec<&str> = in_target.as_deref().into_iter().chain([BUILT_SHIM]).collect();
    found("shim", "--shim", named, &here, "zipship-shim")
}

fn found(
    what: &str,
    option: &str,
    named: Option<&Path>,
    here: &[&str],
    beside: &str,
) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let executable = env::current_exe().ok().and_then(|path| Some(path.parent()?.join(beside)));
    let mut candidates = here.iter().map(PathBuf::from).chain(executable);
    candidates.find(|path| path.exists()).with_context(|| {
        format!("no {what} here ({}) nor beside the executable; name them with {option}", here.join(", "))
    })
}
