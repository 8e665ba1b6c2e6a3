//! From a tar to a tree of files, entry by entry, each one vetted.
//!
//! Works at the root of a process that is chrooted into the target. Names are resolved by the kernel below that
//! root (`openat2`), never by comparing strings.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use tar::{Archive, EntryType};

use super::overlay::{OPAQUE, Opaque};

/// Entries of a layer, at most.
const ENTRIES: usize = 500_000;
/// Bytes of a name, at most.
const NAME_BYTES: usize = 4096;
/// A file of this prefix says that the rest of its name was deleted from the layers below.
const WHITEOUT: &[u8] = b".wh.";
/// What follows the prefix where a directory hides all that is below it.
const OPAQUE_MARKER: &[u8] = b".wh..opq";

type Entry<'a, 'tar> = tar::Entry<'a, &'tar mut dyn Read>;

/// The directory that is being filled.
pub(crate) fn root() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Unpacks all entries of `tar`; answers where the content of the last one ends in it. An error names the entry and
/// what is wrong with it.
pub(crate) fn unpack(tar: &mut dyn Read, opaque: Opaque) -> io::Result<u64> {
    let mut tree = Tree { root: root()?, opaque, directories: BTreeMap::new() };
    let mut end = 0;
    let mut archive = Archive::new(tar);
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if count >= ENTRIES {
            return Err(io::Error::other(format!("more than {ENTRIES} entries")));
        }
        let name = entry.path_bytes().into_owned();
        let stored = entry.header().entry_size().unwrap_or_default();
        end = entry.raw_file_position().saturating_add(stored);
        tree.add(&mut entry, &name)
            .map_err(|error| io::Error::other(format!("{}: {error}", String::from_utf8_lossy(&name))))?;
    }
    tree.finish()?;
    Ok(end)
}

struct Tree {
    root: OwnedFd,
    opaque: Opaque,
    /// Times of directories are set last: filling one changes it.
    directories: BTreeMap<PathBuf, u64>,
}

/// What a header says about any kind of file.
#[derive(Debug, Clone, Copy)]
struct Attributes {
    mode: Mode,
    uid: Uid,
    gid: Gid,
    mtime: u64,
}

impl Tree {
    fn add(&mut self, entry: &mut Entry<'_, '_>, name: &[u8]) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = vetted(name)?;
        let attributes = Attributes::of(entry)?;
        let (Some(parent), Some(file)) = (path.parent(), path.file_name()) else {
            // The root itself.
            return self.dress_directory(Path::new("."), attributes);
        };
        let parent_fd = self.parent(parent)?;
        if let Some(deleted) = file.as_bytes().strip_prefix(WHITEOUT) {
            return self.whiteout(&parent_fd, deleted);
        }
        match kind {
            EntryType::Directory => self.directory(&parent_fd, file, &path, attributes),
            EntryType::Regular | EntryType::Continuous => regular(entry, &parent_fd, file, attributes),
            EntryType::Symlink => symlink(entry, &parent_fd, file, attributes),
            EntryType::Link => self.hard_link(entry, &parent_fd, file),
            // Nobody would see it: `/dev` is always a file system of the sandbox's own.
            _ if path.starts_with("dev") => Ok(()),
            other => Err(io::Error::other(format!("entries of type {other:?} are refused"))),
        }
    }

    /// The directory at `path`, made where it is missing.
    fn parent(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.open_directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        let mut so_far = PathBuf::new();
        for component in path.components() {
            let above = self.open_directory(&so_far)?;
            match rustix::fs::mkdirat(&above, component.as_os_str(), Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            so_far.push(component);
        }
        self.open_directory(path)
    }

    fn open_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)?)
    }

    fn directory(
        &mut self,
        parent: &OwnedFd,
        file: &OsStr,
        path: &Path,
        attributes: Attributes,
    ) -> io::Result<()> {
        match rustix::fs::mkdirat(parent, file, Mode::from_raw_mode(0o700)) {
            Err(Errno::EXIST) if is_directory(parent, file)? => {}
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(parent, file, AtFlags::empty())?;
                rustix::fs::mkdirat(parent, file, Mode::from_raw_mode(0o700))?;
            }
            result => result?,
        }
        self.dress_directory(path, attributes)
    }

    fn dress_directory(&mut self, path: &Path, attributes: Attributes) -> io::Result<()> {
        let (uid, gid) = (Some(attributes.uid), Some(attributes.gid));
        rustix::fs::chownat(&self.root, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        rustix::fs::chmodat(&self.root, path, attributes.mode, AtFlags::empty())?;
        self.directories.insert(path.to_owned(), attributes.mtime);
        Ok(())
    }

    /// The target is looked up as any other name: below the root, and it must be there already.
    fn hard_link(&self, entry: &Entry<'_, '_>, parent: &OwnedFd, file: &OsStr) -> io::Result<()> {
        let target = entry.link_name_bytes().ok_or_else(|| io::Error::other("a hard link to nothing"))?;
        let target = vetted(&target)?;
        let (Some(above), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(io::Error::other("a hard link to the root"));
        };
        let above = self.open_directory(above)?;
        make_room(parent, file)?;
        rustix::fs::linkat(&above, name, parent, file, AtFlags::empty())?;
        Ok(())
    }

    /// In an overlay a character device 0/0 says that the name is deleted. Any process may make that one.
    fn whiteout(&self, parent: &OwnedFd, deleted: &[u8]) -> io::Result<()> {
        match (deleted, self.opaque) {
            (OPAQUE_MARKER, Opaque::Attribute) => {
                // Not by the parent's descriptor, which is for names only.
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(parent, ".", flags, Mode::empty())?;
                return Ok(rustix::fs::fsetxattr(&directory, OPAQUE, b"y", XattrFlags::empty())?);
            }
            (OPAQUE_MARKER, Opaque::Unsupported) => {
                return Err(io::Error::other("opaque directories need Linux 5.11"));
            }
            _ if deleted.is_empty() || deleted.starts_with(WHITEOUT) => {
                return Err(io::Error::other("reserved whiteouts are refused"));
            }
            _ => {}
        }
        let deleted = OsStr::from_bytes(deleted);
        make_room(parent, deleted)?;
        rustix::fs::mknodat(parent, deleted, FileType::CharacterDevice, Mode::empty(), 0)?;
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        for (path, mtime) in &self.directories {
            set_times(&self.root, path.as_os_str(), *mtime)?;
        }
        Ok(())
    }
}

impl Attributes {
    fn of(entry: &Entry<'_, '_>) -> io::Result<Self> {
        let header = entry.header();
        let id = |id: u64| match u32::try_from(id) {
            Ok(id) if id != u32::MAX => Ok(id),
            _ => Err(io::Error::other(format!("the owner {id} is out of range"))),
        };
        // No set-user-id and no set-group-id, as no capabilities (attributes are not unpacked at all): nothing in a
        // sandbox may gain what its caller has not.
        let mode = Mode::from_raw_mode(header.mode()? & 0o1777);
        let (uid, gid) = (Uid::from_raw(id(header.uid()?)?), Gid::from_raw(id(header.gid()?)?));
        Ok(Self { mode, uid, gid, mtime: header.mtime()? })
    }
}

/// The name as a relative path of plain components.
fn vetted(name: &[u8]) -> io::Result<PathBuf> {
    if name.len() > NAME_BYTES {
        return Err(io::Error::other(format!("a name of {} bytes, at most {NAME_BYTES}", name.len())));
    }
    if name.contains(&0) {
        return Err(io::Error::other("a name with a zero byte"));
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(io::Error::other("the name goes up (..)")),
            // Some tools write it; all names are below the root.
            Component::RootDir => {}
            Component::Prefix(_) => return Err(io::Error::other("the name is absolute")),
        }
    }
    Ok(path)
}

fn regular(
    entry: &mut Entry<'_, '_>,
    parent: &OwnedFd,
    file: &OsStr,
    attributes: Attributes,
) -> io::Result<()> {
    make_room(parent, file)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(rustix::fs::openat(parent, file, flags, Mode::from_raw_mode(0o600))?);
    io::copy(entry, &mut target)?;
    rustix::fs::fchown(&target, Some(attributes.uid), Some(attributes.gid))?;
    rustix::fs::fchmod(&target, attributes.mode)?;
    set_times(parent, file, attributes.mtime)
}

fn symlink(entry: &Entry<'_, '_>, parent: &OwnedFd, file: &OsStr, attributes: Attributes) -> io::Result<()> {
    let target = entry.link_name_bytes().ok_or_else(|| io::Error::other("a symbolic link to nothing"))?;
    make_room(parent, file)?;
    let target: OsString = OsStr::from_bytes(&target).to_owned();
    rustix::fs::symlinkat(&target, parent, file)?;
    let (uid, gid) = (Some(attributes.uid), Some(attributes.gid));
    rustix::fs::chownat(parent, file, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    set_times(parent, file, attributes.mtime)
}

/// A later entry of the same name wins, except over a directory.
fn make_room(parent: &OwnedFd, file: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, file, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(io::Error::other("it would replace a directory")),
        Err(error) => Err(error.into()),
    }
}

fn is_directory(parent: &OwnedFd, file: &OsStr) -> io::Result<bool> {
    let stat = rustix::fs::statat(parent, file, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn set_times(parent: impl AsFd, file: &OsStr, mtime: u64) -> io::Result<()> {
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(0), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(parent, file, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
