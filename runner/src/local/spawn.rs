//! Starting a program as the launcher's child, with exactly the descriptors it is to have.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::process::Pid;

use super::sys;

/// A program that is about to be started.
#[derive(Debug)]
pub(crate) struct Program {
    path: CString,
    argv: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    /// `path` is not looked up anywhere; `environment` holds `NAME=value` texts and is the whole of it.
    pub(crate) fn new(
        path: &OsStr,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> io::Result<Self> {
        let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let path = text(path)?;
        let arguments = arguments.into_iter().map(|argument| text(argument.as_ref()));
        let argv = [Ok(path.clone())].into_iter().chain(arguments).collect::<io::Result<_>>()?;
        let environment =
            environment.into_iter().map(|entry| text(entry.as_ref())).collect::<io::Result<_>>()?;
        Ok(Self { path, argv, environment })
    }

    /// Starts it with `fds` as descriptors 0, 1, 2, ...; `prepare` runs in the child, last before the exec.
    ///
    /// An error in the child is written to its standard error, and ends it with 127.
    pub(crate) fn spawn(
        &self,
        fds: &[BorrowedFd<'_>],
        prepare: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Pid> {
        if let Some(pid) = sys::fork()? {
            return Ok(pid);
        }
        sys::reset_signals();
        let error = match sys::place_fds(fds).and_then(|()| prepare()) {
            Ok(()) => sys::exec(&self.path, &self.argv, &self.environment),
            Err(error) => error,
        };
        let text = format!("starting {}: {error}\n", self.path.to_string_lossy());
        // Nothing can be done when even this fails; the exit code tells.
        let _ = rustix::io::write(io::stderr(), text.as_bytes());
        sys::exit_now(127)
    }
}
