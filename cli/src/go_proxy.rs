//! Which Go module proxy this machine uses.

use std::path::Path;
use std::process::Command;

use builder::golang::modules::ModuleProxy;

/// `list` when it is given, else what `go env GOPROXY` of the toolchain says (the variable, or Go's own file), as a
/// list of proxies; empty when there is none.
pub(crate) fn list(list: Option<&str>, toolchain: Option<&Path>) -> String {
    if let Some(list) = list {
        return list.to_owned();
    }
    let go = toolchain.map(|toolchain| toolchain.join("bin/go"));
    let said = go.and_then(|go| Command::new(go).args(["env", "GOPROXY"]).output().ok());
    let text = said.and_then(|said| String::from_utf8(said.stdout).ok());
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The proxies of [`list`].
pub(crate) fn of_machine(
    given: Option<&str>,
    toolchain: Option<&Path>,
) -> anyhow::Result<Option<ModuleProxy>> {
    Ok(ModuleProxy::parse(&list(given, toolchain))?)
}
