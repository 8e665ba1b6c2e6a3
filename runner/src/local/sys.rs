//! The few calls that the standard library and rustix do not offer safely. All of this crate's `unsafe`.
#![allow(unsafe_code)]

use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::Pid;

/// Takes ownership of a descriptor that was inherited by number, and sets it to be closed on exec.
///
/// Calling it a second time with the same number fails, as the first call has marked the descriptor.
pub(crate) fn adopt_fd(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only reads flags; a number that is no descriptor is answered with EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::other("the descriptor is in use already"));
    }
    // SAFETY: as above; F_SETFD only writes flags of a descriptor that exists.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor exists and was inherited over exec (Rust opens all of its own with CLOEXEC), so
    // nothing else in this process owns it; the flag set above keeps a second call from getting here.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
