//! Instances of foreign images: what tells them apart from those of ours, where the shim would see to it.
//!
//! Such an image inherits nothing: its environment is the process's own, and it listens on the loopback of its
//! network. The launcher makes sockets there for the server, which connects them itself: no program of ours runs in
//! the sandbox, and no request passes through the launcher.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use contract::instance::Control;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::Pid;

use super::check::require;
use super::sys;
use crate::{Family, RunnerError};

/// Bytes of an environment's file, at most.
const ENVIRONMENT_BYTES: u64 = 8 << 20;

/// The variables in the file that the server wrote.
pub(crate) fn environment(file: OwnedFd) -> Result<BTreeMap<String, String>, RunnerError> {
    let invalid = |error: &dyn std::fmt::Display| RunnerError::Invalid(format!("the environment: {error}"));
    let mut text = Vec::new();
    File::from(file).take(ENVIRONMENT_BYTES).read_to_end(&mut text).map_err(|error| invalid(&error))?;
    // The text around an error would be somebody's secret.
    let control: Control = serde_json::from_slice(&text).map_err(|_| invalid(&"it is no document"))?;
    for (name, value) in &control.environment {
        let good = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        require(good, || format!("the environment: {name:?} can't be a variable"))?;
    }
    Ok(control.environment)
}

/// A socket in the network of the process, which is a child of ours and so still the one that we started.
pub(crate) fn socket(process: Pid, family: Family) -> io::Result<OwnedFd> {
    let namespace: OwnedFd = File::open(format!("/proc/{}/ns/net", process.as_raw_nonzero()))?.into();
    let family = match family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    sys::in_network(&namespace, || Ok(socket_with(family, SocketType::STREAM, flags, None)?))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>, RunnerError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        environment(file.into())
    }

    #[test]
    fn an_environment_is_read_whole_or_refused_without_its_values() {
        let read_back = read(r#"{"environment": {"A": "1", "B": ""}}"#).unwrap();
        assert_eq!(
            read_back.into_iter().collect::<Vec<_>>(),
            [("A".into(), "1".into()), ("B".into(), String::new())]
        );
        for bad in [
            r#"{"environment": {"A=B": "hunter2"}}"#,
            r#"{"environment": {"": "hunter2"}}"#,
            r#"{"environment": {"A": "hunter2\u0000"}}"#,
            r#"{"environment": {"A": "hunter2"}"#,
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
