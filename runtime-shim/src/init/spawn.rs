//! Inherited descriptors, fork and exec, a socket option and the allocator's: the only `unsafe` of the shim.
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
/// Signals that the parent blocked are unblocked, for the shim and for its workers.
///
/// To be called once, before anything else is opened. Fails when `/dev/null` or `/proc/self/fd` cannot be read.
pub(crate) fn seal() -> io::Result<()> {
    unblock_signals()?;
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

/// Lets the allocator keep what a large body took, for the next one: by itself it gives that back to the kernel each
/// time, and a fresh page costs more than to fill it. Blocks above are the kernel's own and go back at once.
///
/// To be called once, before much is allocated.
pub(crate) fn keep_memory() {
    /// Free memory at the heap's end that is kept, in bytes.
    const KEPT: libc::c_int = 4 << 20;
    /// From this size on a block is a mapping of its own, in bytes.
    const MAPPED: libc::c_int = 2 << 20;
    // SAFETY: `mallopt` takes two numbers and changes the allocator's settings alone; no other thread runs yet. What
    // it does not know it refuses, and nothing depends on it.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}

fn unblock_signals() -> io::Result<()> {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` fills the set that the other call then reads; both take valid pointers, and the old
    // mask is not asked for.
    let failed = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

/// Makes a listening TCP socket deaf to new connections. Those whose handshake has begun are not affected, and
/// callers that are not heard try again a second later, when the socket is gone.
///
/// Fails where the kernel has no socket filters.
pub(crate) fn refuse_connections(socket: BorrowedFd<'_>) -> io::Result<()> {
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const JUMP_IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    // Of the TCP header (RFC 9293, 3.1): the byte of the flags, and the flag.
    const FLAGS: u32 = 13;
    const SYN: u32 = 2;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD_BYTE, 0, 0, FLAGS),
        step(JUMP_IF_SET, 0, 1, SYN),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, u32::MAX),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the option's value is a `sock_fprog` of the size that is told; it and the steps that it points to
    // live until the call returns, and the kernel copies both.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
        super::limit::restore()?;
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
