//! The short-lived child that unpacks one layer: chrooted, without network, with three capabilities.
//!
//! The archive is hostile. The child can write nowhere but into the directory it is locked up in; what `tree`
//! refuses besides is for the sake of those who mount the result later.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use oci::Digest;
use oci::digest::Hasher;
use rustix::process::{Pid, Resource, Rlimit, Signal, setrlimit};
use rustix::thread::CapabilitySet;

use super::overlay::Opaque;
use super::{jail, sys, tree};
use crate::Compression;

/// Bytes of a layer's tar, at most.
const TAR_BYTES: u64 = 8 << 30;
/// Seconds of CPU that an unpacking may take.
const CPU_SECONDS: u64 = 600;
/// Bytes of memory that it may map.
const MEMORY_BYTES: u64 = 1 << 30;
/// Bytes of the report: less than a pipe holds, so that writing it never waits.
const REPORT_BYTES: usize = 2048;

/// Unpacks `blob` into `directory` in a child process. The child exits with 0 when all went well and the tar's
/// digest is `diff_id`; else it writes one line of reasons to `report`.
pub(crate) fn spawn(
    blob: BorrowedFd<'_>,
    (compression, opaque): (Compression, Opaque),
    diff_id: &Digest,
    directory: &Path,
    report: BorrowedFd<'_>,
) -> io::Result<Pid> {
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    if let Some(pid) = sys::fork_into(namespaces)? {
        return Ok(pid);
    }
    let Err(reason) = enter(&[blob, report], directory).and_then(|()| unpack(compression, opaque, diff_id))
    else {
        sys::exit_now(0)
    };
    let mut reason = reason.to_string();
    reason.truncate(reason.floor_char_boundary(REPORT_BYTES));
    // The exit code tells when even this fails.
    if let Ok(report) = sys::adopt_fd(1) {
        let _ = File::from(report).write_all(reason.as_bytes());
    }
    sys::exit_now(1)
}

/// Locks the child up. From here on the blob is descriptor 0, the report 1, and there are no others.
fn enter(fds: &[BorrowedFd<'_>], directory: &Path) -> io::Result<()> {
    sys::place_fds(fds)?;
    sys::close_from(2)?;
    sys::reset_signals();
    // The launcher may die while this runs; the pid namespace would see to it, and this is one line.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::chroot(directory)?;
    rustix::process::chdir("/")?;
    let limits = [
        (Resource::Fsize, TAR_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::As, MEMORY_BYTES),
        (Resource::Nofile, 64),
        (Resource::Core, 0),
    ];
    for (resource, value) in limits {
        let most = rustix::process::getrlimit(resource).maximum.unwrap_or(value);
        let value = Some(value.min(most));
        setrlimit(resource, Rlimit { current: value, maximum: value })?;
    }
    rustix::process::umask(rustix::fs::Mode::empty());
    let kept = CapabilitySet::CHOWN | CapabilitySet::FOWNER | CapabilitySet::DAC_OVERRIDE;
    jail::keep_capabilities(kept)
}

fn unpack(compression: Compression, opaque: Opaque, diff_id: &Digest) -> io::Result<()> {
    let mut blob = File::from(sys::adopt_fd(0)?);
    blob.rewind()?;
    let blob = BufReader::with_capacity(1 << 16, blob);
    let packed = compression.unpacked(blob)?;
    let mut tar =
        Padded { inner: Hashed { inner: packed, hasher: Hasher::new(), left: TAR_BYTES }, padding: 0 };
    let end = tree::unpack(&mut tar, opaque)?;
    // A tar may be padded after its end; the digest is over all of it.
    let mut tar = tar.inner;
    io::copy(&mut tar, &mut io::sink())?;
    if end > TAR_BYTES - tar.left {
        return Err(io::Error::other("it breaks off within a file"));
    }
    let found = tar.hasher.finish();
    if found != *diff_id {
        return Err(io::Error::other(format!("its content is {found}, not {diff_id}")));
    }
    rustix::fs::syncfs(tree::root()?.as_fd())?;
    Ok(())
}

/// Zeros after the end, no more than fill a block and end a tar: some tools (umoci) leave both away, and what reads
/// images elsewhere does not mind.
struct Padded {
    inner: Hashed,
    padding: usize,
}

impl Padded {
    const MOST: usize = 3 * 512;
}

impl Read for Padded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 || self.padding == Self::MOST {
            return Ok(count);
        }
        let count = buffer.len().min(Self::MOST - self.padding);
        buffer[..count].fill(0);
        self.padding += count;
        Ok(count)
    }
}

/// Hashes what passes, and fails where a limit is passed instead of ending there.
struct Hashed {
    inner: Box<dyn Read>,
    hasher: Hasher,
    left: u64,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(io::Error::other(format!("it unpacks to more than {TAR_BYTES} bytes")));
        };
        self.left = left;
        Ok(count)
    }
}
