//! Inherited descriptors, fork and exec: the only `unsafe` of the shim.
//!
//! A worker gets descriptors 0, 1, 2 and, when it is framed, 3. Everything else of the shim's is close-on-exec:
//! what was inherited is marked so at the start, what is opened later is opened so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Where a framed worker finds its socket.
const WORKER_DESCRIPTOR: RawFd = 3;

/// Marks every inherited descriptor above 2 close-on-exec, and makes sure that number 3 is in use: it is the
/// worker's, so nothing that `fork` and `exec` need in between may come to lie there.
///
/// To be called once, before anything else is opened. Fails when `/dev/null` or `/proc/self/fd` cannot be read.
pub(crate) fn seal() -> io::Result<()> {
    let listed: Vec<RawFd> = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
        // Without /proc, the numbers that parents use in practice.
        Err(_) => (0..1024).collect(),
    };
    for number in listed.into_iter().filter(|number| *number > 2) {
        // SAFETY: the descriptor is borrowed for two calls of fcntl, which answer EBADF when it is not open;
        // no other thread runs that could close it, and nothing owns it yet.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if fcntl_getfd(descriptor).is_ok() {
            fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
        }
    }
    // Opened at the lowest free number: until 3 is taken, keep opening.
    loop {
        let file = File::open("/dev/null")?;
        let number = file.as_raw_fd();
        if number > WORKER_DESCRIPTOR {
            return Ok(());
        }
        // Held for the life of the process on purpose.
        std::mem::forget(file);
        if number == WORKER_DESCRIPTOR {
            return Ok(());
        }
    }
}

/// Takes ownership of an inherited descriptor. Each number may be taken once; those of 0 to 2 are refused.
///
/// Fails when it is not open. Number 3 is replaced by a placeholder, as [`seal`] wants it.
pub(crate) fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::other(format!("descriptor {number} is standard input or output")));
    }
    // SAFETY: borrowed for one call, which answers EBADF when it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    // A copy is used, so that number 3 stays taken whatever happens to the copy.
    let copy = rustix::io::fcntl_dupfd_cloexec(borrowed, 10)?;
    release(number)?;
    Ok(copy)
}

/// Closes the original of an inherited descriptor whose copy is in use, so that closing the copy closes the
/// file: readers of a pipe see its end, a listening socket goes. Number 3 becomes a placeholder instead.
fn release(number: RawFd) -> io::Result<()> {
    let placeholder = File::open("/dev/null")?;
    // SAFETY: `inherit` has copied this number, nothing in this process owns or uses it, and it is released
    // once; `OwnedFd` closes it at the end of this function unless it is number 3.
    let mut original = unsafe { OwnedFd::from_raw_fd(number) };
    if number == WORKER_DESCRIPTOR {
        rustix::io::dup3(&placeholder, &mut original, rustix::io::DupFlags::CLOEXEC)?;
        std::mem::forget(original);
    }
    Ok(())
}

/// What is to be started.
pub(crate) struct Command<'a> {
    pub(crate) argv: &'a [String],
    pub(crate) environment: &'a BTreeMap<String, String>,
    pub(crate) directory: &'a Path,
    /// Becomes descriptor 3.
    pub(crate) descriptor: Option<OwnedFd>,
}

/// A started process, its own group, and our ends of its output.
pub(crate) struct Spawned {
    pub(crate) pid: rustix::process::Pid,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// Starts a process in a group of its own that dies with the shim and cannot gain privileges.
///
/// Fails when the program is not there or the machine has no room. The exit status is for the reaper:
/// nobody waits for the process here.
pub(crate) fn spawn(command: Command<'_>) -> io::Result<Spawned> {
    let (program, arguments) =
        command.argv.split_first().ok_or_else(|| io::Error::other("the command line is empty"))?;
    let descriptor = command.descriptor;
    let mut process = std::process::Command::new(program);
    process
        .args(arguments)
        .env_clear()
        .envs(command.environment)
        .current_dir(command.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let socket = descriptor.as_ref().map(AsRawFd::as_raw_fd);
    let before_exec = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        rustix::thread::set_no_new_privs(true)?;
        if let Some(socket) = socket {
            // SAFETY: dup2 is async-signal-safe. Number 3 of this fresh process is `seal`'s placeholder (or an
            // inherited original), so overwriting it takes nothing from the code between fork and exec; the
            // copy is not close-on-exec, which is the point. `socket` is never 3, since 3 was taken before.
            if unsafe { libc::dup2(socket, WORKER_DESCRIPTOR) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec. It makes plain system calls (prctl, dup2), allocates
    // nothing and takes no lock. `descriptor` lives until after `spawn`, so its number is valid in the child.
    unsafe { process.pre_exec(before_exec) };
    let mut child = process.spawn()?;
    drop(descriptor);
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pipes = child.stdout.take().zip(child.stderr.take());
    let (pid, (stdout, stderr)) =
        pid.zip(pipes).ok_or_else(|| io::Error::other("the process has no id or no pipes"))?;
    Ok(Spawned { pid, stdout: stdout.into(), stderr: stderr.into() })
}
