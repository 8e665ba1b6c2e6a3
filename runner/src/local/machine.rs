//! What the machine must have, checked before anything is made: each error says what to do about it.

use std::path::Path;

use super::cgroup::Cgroups;
use super::config::LauncherConfig;
use super::life::ServeError;
use super::oci_runtime::{OciRuntime, PATH};

pub(crate) fn check(config: &LauncherConfig) -> Result<(), ServeError> {
    runtime(&config.runtime).map_err(ServeError::Lacking)?;
    config.go_toolchain.as_deref().map_or(Ok(()), toolchain).map_err(ServeError::Lacking)?;
    controllers(&Cgroups::missing()).map_err(ServeError::Lacking)
}

fn runtime(program: &Path) -> Result<(), String> {
    let lacking = || {
        format!(
            "no OCI runtime {} (looked in {PATH}); sandboxes are made with it: install runc (Debian, Ubuntu: \
             apt install runc; Fedora: dnf install runc; Alpine: apk add runc) or name another with --runtime",
            program.display()
        )
    };
    OciRuntime::locate(program).map(|_| ()).ok_or_else(lacking)
}

fn toolchain(root: &Path) -> Result<(), String> {
    let lacking = || {
        format!(
            "no Go toolchain in {}: bin/go is missing; give the directory that `go env GOROOT` names, or leave it \
             out and do without golang functions",
            root.display()
        )
    };
    root.join("bin/go").is_file().then_some(()).ok_or_else(lacking)
}

/// Without its controller a limit is not kept, and a runtime may not even say so.
fn controllers(missing: &[&str]) -> Result<(), String> {
    let lacking = || {
        format!(
            "the control group controllers {} are not available below /sys/fs/cgroup: limits would not be kept; \
             mount or delegate them (Debian: boot with cgroup_enable=memory)",
            missing.join(", ")
        )
    };
    missing.is_empty().then_some(()).ok_or_else(lacking)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let words = runtime("no-such-runtime".as_ref()).expect_err("there is none");
        assert!(words.contains("no-such-runtime") && words.contains("apt install runc"), "{words}");
        let words = toolchain("/nowhere".as_ref()).expect_err("there is none");
        assert!(words.contains("/nowhere") && words.contains("go env GOROOT"), "{words}");
        let words = controllers(&["memory", "pids"]).expect_err("they are missing");
        assert!(words.contains("memory, pids"), "{words}");
    }
}
