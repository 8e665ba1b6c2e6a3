//! The uploads under way. A request takes an upload out while it writes and puts it back when its file and
//! its hash agree; when a request is dropped half-way, the upload goes with it and the client starts anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Disk, Upload};

/// How many uploads may be under way at once.
const SESSIONS: usize = 1024;
/// An upload that nobody has written to for so long is removed when room is needed or another one begins.
const IDLE: Duration = Duration::from_secs(3600);

/// The uploads under way, in memory: they do not outlive the process.
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
    pub(crate) fn new(disk: Disk) -> Self {
        Self { disk, open: Mutex::default() }
    }

    /// Opens a session in a repository; `None` when there are too many.
    pub(crate) fn open(&self, repository: &str) -> Option<Uuid> {
        let mut open = self.lock();
        open.retain(|_, session| session.touched.elapsed() < IDLE);
        if open.len() >= SESSIONS {
            return None;
        }
        let id = Uuid::new_v4();
        let upload = Some(Upload::new(self.disk.upload_path(id)));
        open.insert(id, Session { repository: repository.to_owned(), upload, touched: Instant::now() });
        Some(id)
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

/// An upload that a request has taken. Dropped without [`put_back`](Taken::put_back), its session ends.
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
        let mut open = self.sessions.lock();
        if open.get(&self.id).is_some_and(|session| session.upload.is_none()) {
            open.remove(&self.id);
        }
    }
}
