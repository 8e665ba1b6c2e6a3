//! What crosses the socketpair between server and launcher: one JSON document a packet, descriptors beside it.
//!
//! The set of messages is closed. The launcher takes names, numbers and digests from it, never paths.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci::Digest;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    CompileOutcome, Compression, Exited, Family, InstanceInfo, InstanceSpec, RunnerError, UnpackedLayer,
};

/// In the server's environment: the number of its end of the socketpair.
pub(crate) const LAUNCHER_FD: &str = "ZIPSHIP_LAUNCHER_FD";
/// In the server's environment: the number of the descriptor with its configuration.
pub(crate) const CONFIGURATION_FD: &str = "ZIPSHIP_CONFIGURATION_FD";
/// In the server's environment: how often it was restarted after dying; 0 at first.
pub(crate) const SERVER_RESTARTS: &str = "ZIPSHIP_SERVER_RESTARTS";

/// Bytes of the largest packet. A kernel's default socket buffer (208 KiB) holds one.
pub(crate) const PACKET_MAX: usize = 128 * 1024;
/// Descriptors beside one packet, at most.
const FDS_MAX: usize = 4;

/// From the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Chosen by the client, given back with the reply.
    pub id: u64,
    pub call: Call,
}

/// What the server may ask.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    /// One descriptor: the blob.
    Unpack {
        diff_id: Digest,
        compression: Compression,
    },
    /// Answered with the unpacked layers whose diff ids come after this one, as many as fit; none when there are no
    /// more.
    Layers {
        after: Option<Digest>,
    },
    RemoveLayer {
        diff_id: Digest,
    },
    /// Four descriptors: listen, ready, log, control.
    Start(InstanceSpec),
    /// Three descriptors: standard output, standard error, the environment's file.
    StartForeign(InstanceSpec),
    /// Answered with one descriptor: a socket inside the instance's network.
    Socket {
        instance: String,
        family: Family,
    },
    LimitCpu {
        instance: String,
        millicores: u32,
    },
    Stop {
        instance: String,
        grace_ms: u64,
    },
    /// Answered with the instances whose ids come after this one, as many as fit; none when there are no more.
    List {
        after: String,
    },
    /// One descriptor: the log. A second one for a job that fetches: where its listening socket is sent.
    Compile(CompileCall),
    /// Two descriptors: log, results.
    Precompile(PrecompileCall),
    /// Answered with two descriptors: the certificate's file and its key's, as they are now.
    Certificate,
}

/// A compile job without paths: the launcher knows where `builds/<id>` is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CompileCall {
    pub id: String,
    pub argv: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub workdir: String,
    pub memory_mb: u32,
    pub timeout_ms: u64,
}

/// A precompile job, likewise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PrecompileCall {
    pub id: String,
    /// Diff ids, the lowest first.
    pub layers: Vec<Digest>,
    pub argv: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub memory_mb: u32,
    pub timeout_ms: u64,
}

/// From the launcher.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromLauncher {
    Reply { id: u64, outcome: Result<Answer, RunnerError> },
    Exited(Exited),
}

/// What a call answers when it goes well.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done,
    Instances(Vec<InstanceInfo>),
    Layers(Vec<UnpackedLayer>),
    /// Whether there was something to remove, and nobody used it.
    Removed(bool),
    Compiled(CompileOutcome),
}

/// Sends one packet. `WouldBlock` when the socket does not take it now.
pub(crate) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = encode(message)?;
    send_bytes(socket, &bytes, fds)
}

fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > PACKET_MAX {
        let text = format!("a message of {} bytes, at most {PACKET_MAX} fit", bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(bytes)
}

fn send_bytes(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one packet"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)?;
    Ok(())
}

/// Receives one packet: `None` when the other end is closed. `WouldBlock` when there is none now.
pub(crate) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; PACKET_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a truncated packet"));
    }
    Ok(Some((serde_json::from_slice(&bytes[..got.bytes])?, fds)))
}

/// Packets that wait for the other end to read, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox(VecDeque<(Vec<u8>, Vec<OwnedFd>)>);

impl Outbox {
    /// More waiting packets than this and the reader is taken for dead.
    const MAX: usize = 4096;

    /// Queues a packet and what goes beside it; false when the other end has stopped reading.
    pub(crate) fn push<T: Serialize>(&mut self, message: &T, fds: Vec<OwnedFd>) -> io::Result<bool> {
        self.0.push_back((encode(message)?, fds));
        Ok(self.0.len() <= Self::MAX)
    }

    /// Whether something waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends what the socket takes now.
    pub(crate) fn flush(&mut self, socket: impl AsFd) -> io::Result<()> {
        while let Some((bytes, fds)) = self.0.front() {
            let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match send_bytes(socket.as_fd(), bytes, &fds) {
                Ok(()) => drop(self.0.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
