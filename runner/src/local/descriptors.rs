//! What kind of descriptor the server may hand to a sandbox. Never trust one by its number: a directory is a way out
//! of the sandbox's mounts, and the runtime makes a sandbox the owner of its standard output.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, fstat, fstatfs};
use rustix::net::sockopt;

use super::check::{Checked, require};

/// `PIPEFS_MAGIC`: pipes without a name. One with a name is a file, and may be somebody else's.
const PIPES: u64 = 0x5049_5045;

/// A listening socket and three channels, in the order of `InstanceFds`. `server` is the server's user.
pub(crate) fn instance(fds: &[OwnedFd; 4], server: u32) -> Checked {
    let [listen, channels @ ..] = fds;
    let listens = sockopt::socket_acceptconn(listen).unwrap_or(false);
    require(listens, || "the first descriptor is not a listening socket".to_owned())?;
    channels.iter().try_for_each(|fd| channel(fd, server))
}

/// Two pipes and a file of the server's own, in the order of `ForeignFds`.
pub(crate) fn foreign(fds: &[OwnedFd; 3], server: u32) -> Checked {
    let [stdout, stderr, environment] = fds;
    let pipes = is_pipe(stdout) && is_pipe(stderr);
    require(pipes, || "standard output and error are to be pipes".to_owned())?;
    // Not a pipe: reading it must not wait.
    require(is_own_file(environment, server), || "the environment is no file of the server".to_owned())
}

/// A pipe, or a file of the server's own: in memory, mostly.
pub(crate) fn channel(fd: &OwnedFd, server: u32) -> Checked {
    let text = || "a descriptor is neither a pipe nor a file of the server".to_owned();
    require(is_own_file(fd, server) || is_pipe(fd), text)
}

fn is_own_file(fd: &OwnedFd, server: u32) -> bool {
    fstat(fd).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_uid == server
    })
}

/// Takes from sockets the power to hold up whoever closes them last (`SO_LINGER`).
pub(crate) fn close_at_once(fds: &[OwnedFd]) {
    for fd in fds {
        // Not a socket: nothing lingers.
        let _ = sockopt::set_socket_linger(fd, None);
    }
}

fn is_pipe(fd: impl AsFd) -> bool {
    let fifo = fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
    fifo && fstatfs(&fd).is_ok_and(|system| u64::try_from(system.f_type) == Ok(PIPES))
}
