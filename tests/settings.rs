//! Where things are on this machine, for the tests of single crates: the variables of `scripts/env`.

use std::{path::PathBuf, process::Command, sync::OnceLock};

/// A path that `scripts/env` sets.
pub(crate) fn setting(name: &str) -> PathBuf {
    static PRINTED: OnceLock<String> = OnceLock::new();
    let printed = PRINTED.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/env-print");
        let output = Command::new(script).output().expect("scripts/env-print runs");
        String::from_utf8(output.stdout).expect("text")
    });
    let value = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("scripts/env-print has no {name}")).into()
}
