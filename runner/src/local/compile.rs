//! The mounts of a compile job: source and output taken from the server's directory without trusting its names,
//! and a cache that starts from the compiled standard library and forgets what is added.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::Path;

use contract::environment::CONTAINER_UID;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use super::inlet;

/// Bytes of new files in a job's cache; they count as its memory too.
const CACHE_BYTES: u64 = 512 << 20;
/// Mount points of a job, in the order in which they are unmounted.
const POINTS: [&str; 4] = ["cache", "scratch", "out", "src"];

/// Mounts what a job needs below `points`. `server` is the server's directory, `uid` its user, `inlet` the way of a
/// socket to a job that fetches.
pub(crate) fn mount_job(
    id: &str,
    server: &OwnedFd,
    uid: u32,
    cache: Option<&Path>,
    points: &Path,
    inlet: Option<&OwnedFd>,
) -> io::Result<()> {
    for point in POINTS {
        fs::create_dir_all(points.join(point))?;
    }
    for name in ["src", "out"] {
        bind_from_server(server, uid, &format!("builds/{id}/{name}"), &points.join(name))?;
    }
    mount_cache(cache, points)?;
    inlet.map_or(Ok(()), |inlet| inlet::open(inlet, &points.join(inlet::POINT)))
}

/// Mounts what a precompile job needs below `points`: its sources.
pub(crate) fn mount_sources(id: &str, server: &OwnedFd, uid: u32, points: &Path) -> io::Result<()> {
    let target = points.join("src");
    fs::create_dir_all(&target)?;
    bind_from_server(server, uid, &format!("builds/{id}/src"), &target)
}

/// Undoes `mount_job` or `mount_sources`, as far as it came.
pub(crate) fn unmount_job(points: &Path) -> io::Result<()> {
    let network = points.join(inlet::POINT);
    if network.exists() {
        // An error tells that it came no further than the file.
        let _ = unmount(&network, UnmountFlags::DETACH);
        fs::remove_file(&network)?;
    }
    for point in POINTS {
        let point = points.join(point);
        // Not mounted, or not even made.
        match unmount(&point, UnmountFlags::DETACH) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        // Never recursive: what is below might be the server's.
        match fs::remove_dir(&point) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(points)
}

/// The server could put a link in place of its directory to have another one shown to the sandbox: so the name is
/// resolved without links, and the directory must be the server's own.
fn bind_from_server(server: &OwnedFd, uid: u32, name: &str, target: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let directory = rustix::fs::openat2(server, name, flags, Mode::empty(), resolve)
        .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
    if rustix::fs::fstat(&directory)?.st_uid != uid {
        return Err(io::Error::other(format!("{name} does not belong to the server")));
    }
    mount_bind(format!("/proc/self/fd/{}", directory.as_raw_fd()), target)?;
    Ok(())
}

fn mount_cache(cache: Option<&Path>, points: &Path) -> io::Result<()> {
    let (scratch, target) = (points.join("scratch"), points.join("cache"));
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = CString::new(format!("size={CACHE_BYTES},mode=755"))?;
    mount("tmpfs", &scratch, "tmpfs", flags, options.as_c_str())?;
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    fs::create_dir(&work)?;
    make_own_dir(&upper)?;
    // A Go build cache has these directories; those of `cache` belong to somebody else, and an overlay takes the
    // owner from the uppermost.
    for number in 0..=0xff_u32 {
        make_own_dir(&upper.join(format!("{number:02x}")))?;
    }
    let Some(cache) = cache else {
        return Ok(mount_bind(&upper, &target)?);
    };
    let options =
        format!("lowerdir={},upperdir={},workdir={}", cache.display(), upper.display(), work.display());
    let options = CString::new(options)?;
    Ok(mount("overlay", &target, "overlay", flags, options.as_c_str())?)
}

fn make_own_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    chown(path, Some(CONTAINER_UID), Some(CONTAINER_UID))
}
