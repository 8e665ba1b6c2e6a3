//! The uploads under way. A request takes an upload out while it writes and puts it back when its file and
//! its hash agree. Requests run in tasks of their own: one that is dropped half-way means the end of the process.
//!
//! An upload has two files: its bytes, and whose it is. So it outlives the process: the next one takes up what it
//! finds, and the client goes on where the file ends.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use super::upload::Unfinished;
use super::{Disk, Upload};

/// How many uploads may be under way at once.
const SESSIONS: usize = 1024;
/// An upload that nobody has written to for so long is removed when another one begins, or at the next start.
pub(super) const IDLE: Duration = Duration::from_secs(3600);

/// The uploads under way.
#[derive(Debug)]
pub(crate) struct Sessions {
    disk: Disk,
    open: Mutex<HashMap<Uuid, Session>>,
}

#[derive(Debug)]
struct Session {
    repository: String,
    /// `None` while a request is writing.
    upload: Option<Upload>,
    touched: Instant,
}

/// Another request has the upload.
#[derive(Debug)]
pub(crate) struct Busy;

impl Sessions {
    /// With the uploads that an earlier process left in the store.
    pub(crate) fn new(disk: Disk) -> Self {
        let restored = disk.unfinished_uploads().unwrap_or_else(|error| {
            tracing::error!(%error, "uploads under way cannot be read; their clients start anew");
            Vec::new()
        });
        let now = SystemTime::now();
        let session = |left: Unfinished| {
            let idle = now.duration_since(left.touched).unwrap_or_default();
            let touched = Instant::now().checked_sub(idle)?;
            let upload = Some(Upload::resumed(disk.upload_path(left.id), left.received));
            Some((left.id, Session { repository: left.repository, upload, touched }))
        };
        let open = restored.into_iter().filter_map(session).collect();
        Self { disk, open: Mutex::new(open) }
    }

    /// Opens a session in a repository; `None` when there are too many. Blocks for two file operations.
    pub(crate) fn open(&self, repository: &str) -> io::Result<Option<Uuid>> {
        let mut open = self.lock();
        open.retain(|_, session| session.touched.elapsed() < IDLE);
        if open.len() >= SESSIONS {
            return Ok(None);
        }
        let id = Uuid::new_v4();
        self.disk.begin_upload(id, repository)?;
        let upload = Some(Upload::new(self.disk.upload_path(id)));
        open.insert(id, Session { repository: repository.to_owned(), upload, touched: Instant::now() });
        Ok(Some(id))
    }

    /// How many bytes a repository's upload has; `None` when there is no such upload.
    pub(crate) fn received(&self, repository: &str, id: Uuid) -> Option<Result<u64, Busy>> {
        let open = self.lock();
        let session = open.get(&id).filter(|session| session.repository == repository)?;
        Some(session.upload.as_ref().map(Upload::received).ok_or(Busy))
    }

    /// Takes a repository's upload out to write to it; `None` when there is no such upload.
    pub(crate) fn take(&self, repository: &str, id: Uuid) -> Option<Result<Taken<'_>, Busy>> {
        let mut open = self.lock();
        let session = open.get_mut(&id).filter(|session| session.repository == repository)?;
        session.touched = Instant::now();
        Some(
            session
                .upload
                .take()
                .map(|upload| Taken { sessions: self, id, upload: Some(upload) })
                .ok_or(Busy),
        )
    }

    /// Ends a session without a blob. Returns whether it was there.
    pub(crate) fn cancel(&self, repository: &str, id: Uuid) -> bool {
        let mut open = self.lock();
        let known = open.get(&id).is_some_and(|session| session.repository == repository);
        if known {
            open.remove(&id);
        }
        known
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Session>> {
        // Every change of the map is a single step: it is whole whatever thread panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        open.drain().filter_map(|(_, session)| session.upload).for_each(Upload::leave);
    }
}

/// An upload that a request has taken. Dropped without [`put_back`](Taken::put_back) and [`end`](Taken::end), its
/// files are left for the next process.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    sessions: &'a Sessions,
    id: Uuid,
    upload: Option<Upload>,
}

impl Taken<'_> {
    /// The upload, to write to.
    pub(crate) fn upload(&mut self) -> &mut Upload {
        self.upload.as_mut().expect("only put_back and end take it, and they consume self")
    }

    /// Leaves the session open for the next request.
    pub(crate) fn put_back(mut self) {
        // A session that was cancelled meanwhile stays so. The guard is gone before `self` drops and locks.
        if let Some(session) = self.sessions.lock().get_mut(&self.id) {
            session.upload = self.upload.take();
            session.touched = Instant::now();
        }
    }

    /// Ends the session and keeps its upload.
    pub(crate) fn end(mut self) -> Upload {
        self.upload.take().expect("only put_back and end take it, and they consume self")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            upload.leave();
        }
        let mut open = self.sessions.lock();
        if open.get(&self.id).is_some_and(|session| session.upload.is_none()) {
            open.remove(&self.id);
        }
    }
}
