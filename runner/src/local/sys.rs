//! The few calls that the standard library and rustix do not offer safely. All of this crate's `unsafe`.
//!
//! Forking is sound only in a process of one thread: `life::serve` checks that it is one before the first fork,
//! and neither the outer process nor the launcher ever makes a thread.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_long};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::process::{Pid, Signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::unix::AsyncFd;

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

/// Has tokio watch a descriptor. Must be called inside a tokio runtime.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one and the same open descriptor until it is dropped, and the `AsyncFd` owns it.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

/// `fork`: the child's process id in the parent, `None` in the child.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread (see the module's head), so the child is a whole copy of it: no lock
    // is held by a thread that does not exist there.
    let pid = unsafe { libc::fork() };
    match pid {
        ..0 => Err(io::Error::last_os_error()),
        _ => Ok(Pid::from_raw(pid)),
    }
}

/// `fork` into new namespaces (`CLONE_NEW*`).
pub(crate) fn fork_into(namespaces: libc::c_int) -> io::Result<Option<Pid>> {
    let flags = c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack given, clone is fork: the child runs on its own copy of this
    // stack, and this process has one thread. glibc's idea of the thread's id is stale in the child, which
    // matters only to pthread calls by id; the child makes none and ends with `exit_now`.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, flags, 0 as c_long, 0 as c_long, 0 as c_long, 0 as c_long) };
    match i32::try_from(pid) {
        Ok(pid @ 0..) => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The next child becomes PID 1 of a new pid namespace, and this process gets mounts of its own.
pub(crate) fn unshare_for_launcher() -> io::Result<()> {
    // SAFETY: this process has one thread, so no other one is surprised by what it no longer shares; neither
    // flag concerns its descriptors.
    if unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Does `work` in a new network namespace, and comes back; answers the namespace too. Only for a process of one
/// thread.
pub(crate) fn in_new_network<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(OwnedFd, T)> {
    let open = || -> io::Result<OwnedFd> { Ok(std::fs::File::open("/proc/self/ns/net")?.into()) };
    let own = open()?;
    // SAFETY: this process has one thread, so no other one is surprised by what it no longer shares; the flag
    // does not concern its descriptors.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let done = open().and_then(|new| Ok((new, work()?)));
    return_to_network(&own);
    done
}

/// Does `work` in another network namespace than this process's own, and comes back. Only for a process of one thread.
pub(crate) fn in_network<T>(namespace: &OwnedFd, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let own: OwnedFd = std::fs::File::open("/proc/self/ns/net")?.into();
    if rustix::fs::fstat(&own)?.st_ino == rustix::fs::fstat(namespace)?.st_ino {
        return Err(io::Error::other("it has no network of its own"));
    }
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    let done = work();
    return_to_network(&own);
    done
}

/// Back to where the launcher belongs; what it did next would otherwise be done in the wrong place.
fn return_to_network(own: &OwnedFd) {
    if let Err(error) = move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Network)) {
        eprintln!("the launcher can't return to its network namespace: {error}");
        exit_now(1);
    }
}

/// Turns on the loopback interface of this process's network namespace.
pub(crate) fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all zeros is a valid `ifreq`: an empty name, and a union of plain numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    // SAFETY: SIOCSIFFLAGS reads a name and flags from the `ifreq`, which lives until the call returns.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process without running anything that was registered to run at exit.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Replaces the program. Returns only when that failed.
pub(crate) fn exec(program: &CString, argv: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(argv), pointers(environment));
    // SAFETY: all three are valid, NUL-terminated strings or null-terminated arrays of them, and live until the
    // call returns or the program is replaced.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Makes `sources` the descriptors 0, 1, 2, ... of this process, inherited over exec, and sets all others to be
/// closed then. Only for a freshly forked child that is about to exec: nothing else in it may own 0, 1, 2, ...
pub(crate) fn place_fds(sources: &[BorrowedFd<'_>]) -> io::Result<()> {
    const HIGH: libc::c_int = 512;
    let check = |result: libc::c_int| match result {
        ..0 => Err(io::Error::last_os_error()),
        number => Ok(number),
    };
    let mut lifted = Vec::with_capacity(sources.len());
    for source in sources {
        // SAFETY: duplicates a valid descriptor to a number from HIGH on, so no target below is overwritten yet.
        lifted.push(check(unsafe { libc::fcntl(source.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) })?);
    }
    for (target, source) in (0..).zip(lifted) {
        // SAFETY: closes whatever `target` was: in this child, by contract, nothing uses it any more.
        check(unsafe { libc::dup2(source, target) })?;
    }
    let first = libc::c_uint::try_from(sources.len()).map_err(io::Error::other)?;
    // SAFETY: only sets the close-on-exec flag of descriptors.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes every descriptor from `first` on. Only for a freshly forked child that never touches the objects it
/// inherited with them, and that ends with `exit_now`, so that none is closed twice.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: by contract nothing in this process uses these descriptors any more.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Signals as a descriptor that can be polled; they are blocked for this process and those it forks.
#[derive(Debug)]
pub(crate) struct SignalFd(OwnedFd);

impl SignalFd {
    pub(crate) fn new(signals: &[Signal]) -> io::Result<Self> {
        let set = signal_set(signals);
        // SAFETY: `set` is initialised; the old mask is not asked for.
        if unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above; -1 asks for a new descriptor.
        let number = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(number) }))
    }

    /// The next pending signal, `None` when there is none.
    pub(crate) fn next(&self) -> io::Result<Option<Signal>> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0; SIZE];
        match rustix::io::read(&self.0, &mut buffer) {
            // `ssi_signo` is the record's first field, a u32.
            Ok(SIZE) => {
                let number = u32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
                Ok(i32::try_from(number).ok().and_then(Signal::from_named_raw))
            }
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Gives a forked child the signal state that programs expect: nothing blocked, SIGPIPE deadly (Rust ignores it).
pub(crate) fn reset_signals() {
    let set = signal_set(&[]);
    // SAFETY: `set` is initialised, the old mask is not asked for, and SIG_DFL is a valid disposition.
    unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &set, ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

fn signal_set(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the whole set; sigaddset changes an initialised one by a valid number.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        set.assume_init()
    }
}
