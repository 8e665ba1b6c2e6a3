//! The system calls that a sandbox may make: an allow-list, everything else fails with EPERM.
//!
//! Enough for node, python, Go and static programs, as users of a container without any capability. Absent on
//! purpose: mounting, namespaces, ptrace and reading other processes' memory, bpf, perf, io_uring, userfaultfd,
//! keys, modules, kexec, clocks, swap, quotas, handles (`open_by_handle_at`), and sockets of families that
//! a network namespace does not hold (`AF_VSOCK`) or that open kernel interfaces (`AF_ALG`, `AF_PACKET`).

use serde_json::{Value, json};

/// `CLONE_NEW*` bits of `clone`; `CLONE_NEWTIME` can't be given to it (it is part of the exit signal there).
const CLONE_NAMESPACES: u64 = 0x7E02_0000;
/// `AF_UNIX`, `AF_INET`, `AF_INET6`, `AF_NETLINK` (getaddrinfo asks for the interfaces).
const SOCKET_FAMILIES: [u64; 4] = [1, 2, 10, 16];
/// Plain Linux, and "tell me which".
const PERSONALITIES: [u64; 2] = [0x0, 0xffff_ffff];

/// Allowed whatever their arguments.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    // Processes, threads, signals, time.
    "alarm", "arch_prctl", "capget", "capset", "clock_getres", "clock_gettime", "clock_nanosleep", "execve",
    "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake",
    "get_robust_list", "get_thread_area", "getcpu", "getegid", "geteuid", "getgid", "getgroups", "getitimer",
    "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid", "getresuid", "getrlimit", "getrusage",
    "getsid", "gettid", "gettimeofday", "getuid", "ioprio_get", "ioprio_set", "kill", "membarrier", "nanosleep",
    "pause", "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64", "restart_syscall", "rseq",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp",
    "set_robust_list", "set_thread_area", "set_tid_address", "setgid", "setgroups", "setitimer", "setpgid",
    "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setuid",
    "sigaltstack", "sysinfo", "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun",
    "timer_gettime", "timer_settime", "times", "tkill", "uname", "vfork", "wait4", "waitid",
    // Memory.
    "brk", "get_mempolicy", "madvise", "map_shadow_stack", "memfd_create", "mincore", "mlock", "mlock2",
    "mlockall", "mmap", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc",
    "pkey_free", "pkey_mprotect",
    // Files.
    "access", "cachestat", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup",
    "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat",
    "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr",
    "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64",
    "getxattr", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "ioctl", "lchown",
    "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat",
    "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open", "openat", "openat2", "pread64", "preadv",
    "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv",
    "removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr", "splice", "stat",
    "statfs", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "tee", "truncate", "umask",
    "unlink", "unlinkat", "utime", "utimensat", "utimes", "vmsplice", "write", "writev",
    // Waiting, pipes, sockets, local IPC.
    "accept", "accept4", "bind", "connect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
    "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "getpeername",
    "getrandom", "getsockname", "getsockopt", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents",
    "io_setup", "io_submit", "listen", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
    "mq_timedsend", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "pipe", "pipe2", "poll", "ppoll",
    "pselect6", "recvfrom", "recvmmsg", "recvmsg", "select", "semctl", "semget", "semop", "semtimedop",
    "sendmmsg", "sendmsg", "sendto", "setsockopt", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "signalfd",
    "signalfd4", "socketpair", "timerfd_create", "timerfd_gettime", "timerfd_settime",
];

/// The `linux.seccomp` object of a runtime-spec document.
pub(crate) fn profile() -> Value {
    let errno_enosys = libc::ENOSYS;
    let mut rules = vec![
        json!({"names": ALLOWED, "action": "SCMP_ACT_ALLOW"}),
        json!({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": CLONE_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}),
        // Its flags lie in memory, out of a filter's sight; the C libraries fall back to clone when it is missing.
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno_enosys}),
    ];
    let equal = |name: &str, value: &u64| {
        json!({"names": [name], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]})
    };
    rules.extend(SOCKET_FAMILIES.iter().map(|family| equal("socket", family)));
    rules.extend(PERSONALITIES.iter().map(|personality| equal("personality", personality)));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": rules,
    })
}

#[cfg(test)]
mod tests {
    use super::ALLOWED;

    #[test]
    fn what_reaches_out_of_a_sandbox_is_not_allowed() {
        for name in [
            "mount",
            "umount2",
            "move_mount",
            "fsopen",
            "open_tree",
            "pivot_root",
            "chroot",
            "setns",
            "unshare",
            "clone",
            "clone3",
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "pidfd_getfd",
            "bpf",
            "keyctl",
            "add_key",
            "request_key",
            "io_uring_setup",
            "io_uring_enter",
            "userfaultfd",
            "perf_event_open",
            "kexec_load",
            "kexec_file_load",
            "init_module",
            "finit_module",
            "delete_module",
            "open_by_handle_at",
            "socket",
            "personality",
            "reboot",
            "swapon",
            "settimeofday",
            "clock_settime",
            "iopl",
            "ioperm",
        ] {
            assert!(!ALLOWED.contains(&name), "{name}");
        }
    }
}
