//! The one way into the network of a job that fetches: a listening socket on the loopback of a namespace made for
//! it. The launcher makes both and hands the socket to the server, which answers on it; the job sees an address.
//!
//! No program of ours runs in the sandbox, and nothing in it can reach anything but what the server says.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::mount_bind;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt,
};

use super::check::{Checked, require};
use super::sys;
use crate::FORWARDER;

/// Name of the namespace's mount point among those of a job.
pub(crate) const POINT: &str = "net";

/// The server's end, which gets the listening socket.
#[derive(Debug)]
pub struct Inlet(OwnedFd);

/// A pair: what the server keeps, and what goes into a `CompileSpec`.
///
/// # Errors
/// No descriptors are left.
pub fn inlet() -> io::Result<(Inlet, OwnedFd)> {
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Inlet(near), far))
}

impl Inlet {
    /// Waits for the socket. To be used on a thread that may block.
    ///
    /// # Errors
    /// The job was not started, or not within `limit`.
    pub fn listener(self, limit: Duration) -> io::Result<TcpListener> {
        let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: seconds, tv_nsec: limit.subsec_nanos().into() };
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout))? == 0 {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let (mut byte, flags) = ([0], RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT);
        recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
        let received = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
            _ => None,
        });
        received.map(Into::into).ok_or_else(|| io::Error::other("the job was not started"))
    }
}

/// Only the server's end of a pair: nothing else is sent a descriptor.
pub(crate) fn check(inlet: &OwnedFd) -> Checked {
    let pair = sockopt::socket_domain(inlet).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && sockopt::socket_type(inlet).is_ok_and(|kind| kind == SocketType::SEQPACKET);
    require(pair, || "the second descriptor is no end of a socket pair".to_owned())
}

/// Makes the namespace, mounts it as `point` for the runtime to join, and sends its socket off.
pub(crate) fn open(inlet: &OwnedFd, point: &Path) -> io::Result<()> {
    let (namespace, listener) = sys::in_new_network(|| {
        sys::raise_loopback()?;
        TcpListener::bind(FORWARDER)
    })?;
    File::create(point)?;
    mount_bind(format!("/proc/self/fd/{}", namespace.as_raw_fd()), point)?;
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(inlet, &[IoSlice::new(&[0])], &mut control, flags)?;
    Ok(())
}
