//! Changes below a directory, through inotify.
//!
//! Every request looks before it goes on ([`Watcher::look`]): a file that was saved before a request was sent is
//! known of when the request is answered, so no request gets old code after a save.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::ignore::Ignored;
use crate::local::process::watched;

/// Without a change for so long, a save is over: tools write several files, or one in two steps.
const QUIET: Duration = Duration::from_millis(15);
/// A stream of changes is taken for one save after so long, whether it goes on or not.
const LONGEST: Duration = Duration::from_millis(500);
/// Files that are named of one save.
const NAMED: usize = 20;

/// What has changed so far. Both numbers only grow; they start at 1.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    /// The number of the last change.
    pub(super) seen: u64,
    /// The number of the last change of the last save that is over.
    pub(super) settled: u64,
    /// Files of the last save, relative.
    pub(super) files: Vec<String>,
    /// When the last save began.
    pub(super) since: Instant,
}

pub(super) struct Watcher {
    inotify: AsyncFd<OwnedFd>,
    folders: Mutex<Folders>,
    changes: watch::Sender<Changes>,
}

/// The watched folders by inotify's number.
struct Folders {
    root: PathBuf,
    ignored: Ignored,
    /// Paths relative to the root; the root's is empty.
    watched: HashMap<i32, String>,
}

impl Watcher {
    /// Watches a directory and everything below from now on. Fails when the system has no watches left.
    pub(super) fn start(root: &Path, ignored: Ignored) -> io::Result<Arc<Self>> {
        let inotify = watched(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?)?;
        let mut folders = Folders { root: root.to_owned(), ignored, watched: HashMap::new() };
        folders.add(inotify.get_ref(), "")?;
        let first = Changes { seen: 1, settled: 1, files: Vec::new(), since: Instant::now() };
        let changes = watch::Sender::new(first);
        let watcher = Arc::new(Self { inotify, folders: Mutex::new(folders), changes });
        tokio::spawn(watcher.clone().read());
        tokio::spawn(watcher.clone().settle());
        Ok(watcher)
    }

    /// Takes in what has happened until now; the number of the last change.
    pub(super) fn look(&self) -> u64 {
        let files = {
            let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
            folders.read(self.inotify.get_ref())
        };
        if !files.is_empty() {
            self.changes.send_modify(|changes| changes.add(files));
        }
        self.changes.borrow().seen
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }

    async fn read(self: Arc<Self>) {
        while let Ok(mut readable) = self.inotify.readable().await {
            // Reads until nothing is left, whoever else reads meanwhile.
            self.look();
            readable.clear_ready();
        }
    }

    async fn settle(self: Arc<Self>) {
        let mut changes = self.subscribe();
        while changes.wait_for(|changes| changes.seen > changes.settled).await.is_ok() {
            loop {
                let before = self.changes.borrow().seen;
                sleep(QUIET).await;
                let (seen, since) = {
                    let now = self.changes.borrow();
                    (now.seen, now.since)
                };
                if seen == before || since.elapsed() > LONGEST {
                    self.changes.send_modify(|changes| changes.settled = changes.seen);
                    break;
                }
            }
        }
    }
}

impl Changes {
    fn add(&mut self, files: Vec<String>) {
        if self.seen == self.settled {
            self.files.clear();
            self.since = Instant::now();
        }
        self.seen += 1;
        for file in files {
            if self.files.len() < NAMED && !self.files.contains(&file) {
                self.files.push(file);
            }
        }
    }
}

impl Folders {
    /// Files that have changed since this was last called.
    fn read(&mut self, descriptor: &OwnedFd) -> Vec<String> {
        let mut events: Vec<(i32, ReadFlags, Option<CString>)> = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(descriptor, &mut buffer);
        // Every error means that there is nothing more now.
        while let Ok(event) = reader.next() {
            events.push((event.wd(), event.events(), event.file_name().map(CString::from)));
        }
        events
            .into_iter()
            .filter_map(|(folder, what, name)| self.change(descriptor, folder, what, name))
            .collect()
    }

    fn change(
        &mut self,
        descriptor: &OwnedFd,
        folder: i32,
        what: ReadFlags,
        name: Option<CString>,
    ) -> Option<String> {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            // Some were lost: everything may have changed, and folders may be new.
            let _ = self.add(descriptor, "");
            return Some("many files".to_owned());
        }
        if what.contains(ReadFlags::IGNORED) {
            self.watched.remove(&folder);
            return None;
        }
        let name = name?.into_string().ok()?;
        let path = join(self.watched.get(&folder)?, &name);
        if what.contains(ReadFlags::ISDIR) {
            if self.ignored.folder(&path) {
                return None;
            }
            if what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                // Gone again, or not to be watched: a later change above it will tell.
                let _ = self.add(descriptor, &path);
            }
            return Some(path);
        }
        (!self.ignored.file(&path)).then_some(path)
    }

    /// Watches a folder and those below.
    fn add(&mut self, descriptor: &OwnedFd, path: &str) -> io::Result<()> {
        let what = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        let full = self.root.join(path);
        let number = inotify::add_watch(descriptor, &full, what)?;
        self.watched.insert(number, path.to_owned());
        for entry in std::fs::read_dir(&full)?.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let below = join(path, &name);
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !self.ignored.folder(&below) {
                match self.add(descriptor, &below) {
                    Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => return Err(error),
                    // Gone meanwhile, or not readable for this user.
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn settled(changes: &mut watch::Receiver<Changes>, after: u64) -> Changes {
        let settled = changes.wait_for(|changes| changes.settled > after);
        tokio::time::timeout(Duration::from_secs(10), settled)
            .await
            .expect("in time")
            .expect("a watcher")
            .clone()
    }

    #[tokio::test]
    async fn saves_are_seen_at_once_and_told_when_they_are_over() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("src")).unwrap();
        let watcher = Watcher::start(root.path(), Ignored::default()).unwrap();
        let mut changes = watcher.subscribe();
        assert_eq!(watcher.look(), 1);
        fs::write(root.path().join("src/a.js"), "1").unwrap();
        let seen = watcher.look();
        assert!(seen > 1, "what was written before is seen");
        fs::write(root.path().join("b.js.new"), "2").unwrap();
        fs::rename(root.path().join("b.js.new"), root.path().join("b.js")).unwrap();
        let told = settled(&mut changes, 1).await;
        assert_eq!(told.settled, told.seen);
        assert!(
            told.files.contains(&"src/a.js".to_owned()) && told.files.contains(&"b.js".to_owned()),
            "{told:?}"
        );
    }

    #[tokio::test]
    async fn new_folders_are_watched_and_litter_is_not() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("node_modules/x")).unwrap();
        let watcher = Watcher::start(root.path(), Ignored::new(vec!["*.log".into()])).unwrap();
        let mut changes = watcher.subscribe();
        fs::write(root.path().join("node_modules/x/index.js"), "1").unwrap();
        fs::write(root.path().join(".a.js.swp"), "1").unwrap();
        fs::write(root.path().join("out.log"), "1").unwrap();
        fs::create_dir(root.path().join("__pycache__")).unwrap();
        assert_eq!(watcher.look(), 1);
        fs::create_dir_all(root.path().join("new/deep")).unwrap();
        let told = settled(&mut changes, 1).await;
        fs::write(root.path().join("new/deep/c.js"), "1").unwrap();
        assert_eq!(settled(&mut changes, told.settled).await.files, ["new/deep/c.js"]);
    }
}
