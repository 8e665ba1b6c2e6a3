//! One application's log at work: lines wait in a bounded queue, and one task at a time writes them.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use contract::instance::LogStream;
use tokio::{
    sync::{Notify, OnceCell},
    task::spawn_blocking,
};

use super::{
    LogRate, Logs,
    files::{Batch, Files},
    flush::{flush, tell_later},
    now,
    rate::Bucket,
    record::{self, Line},
};
use crate::store::StoreError;

/// Bytes that may wait before an instance's output is held up.
const QUEUE_BYTES: usize = 1 << 20;
/// Bytes that may wait before the platform's own words are dropped, which wait for nobody.
const QUEUE_MOST: usize = 4 << 20;

/// What an event is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// An instance.
    pub instance: Option<&'a str>,
    /// A request.
    pub request: Option<&'a str>,
}

/// The log of one application.
pub(super) struct Application {
    pub(super) id: String,
    queue: Mutex<Queue>,
    /// Rings when a batch was taken from the queue.
    pub(super) room: Notify,
    files: OnceCell<Mutex<Files>>,
    /// Held by whoever changes the files.
    driving: Arc<tokio::sync::Mutex<()>>,
}

pub(super) struct Queue {
    batch: Batch,
    pub(super) bucket: Bucket,
    /// Lines that could not be written.
    pub(super) unwritten: u64,
    /// Whether a task writes.
    flushing: bool,
    /// Whether the application was removed.
    pub(super) ended: bool,
    /// The bucket's clock; it never goes back.
    started: Instant,
    used: Instant,
}

/// Lines of one instance on their way into its application's log.
pub struct Said {
    logs: Logs,
    application: Arc<Application>,
    instance: String,
}

impl Said {
    pub(super) fn new(logs: Logs, application: Arc<Application>, instance: &str) -> Self {
        Self { logs, application, instance: instance.to_owned() }
    }

    /// Waits until there is room for some lines. Cancel-safe.
    pub async fn room(&self) {
        loop {
            let ring = self.application.room.notified();
            let mut ring = std::pin::pin!(ring);
            // From here on no ring is missed.
            ring.as_mut().enable();
            if self.application.queue().batch.bytes.len() < QUEUE_BYTES {
                return;
            }
            ring.await;
        }
    }

    /// Adds lines: of each its length in bytes, and how it is read when it is kept. What cannot be read is passed over.
    pub fn lines<'a, R>(&self, lines: impl Iterator<Item = (&'a [u8], R)>)
    where
        R: FnOnce(&'a [u8]) -> Option<Line>,
    {
        let mut queue = self.application.queue();
        let (now, elapsed) = (now(), queue.elapsed());
        for (bytes, read) in lines {
            if !queue.bucket.takes(bytes.len(), elapsed) {
                continue;
            }
            queue.tell_dropped();
            if let Some(mut line) = read(bytes) {
                line.instance.clone_from(&self.instance);
                // An instance's clock is this machine's.
                line.time = line.time.min(now);
                queue.push(&line);
            }
        }
        self.application.start(queue, &self.logs);
    }
}

impl Application {
    pub(super) fn new(id: &str, rate: Option<LogRate>, ended: bool) -> Self {
        Self {
            id: id.to_owned(),
            queue: Mutex::new(Queue {
                batch: Batch::default(),
                bucket: Bucket::new(rate, 0),
                unwritten: 0,
                flushing: false,
                ended,
                started: Instant::now(),
                used: Instant::now(),
            }),
            room: Notify::new(),
            files: OnceCell::new(),
            driving: Arc::default(),
        }
    }

    pub(super) fn event(self: &Arc<Self>, logs: &Logs, about: About<'_>, text: &str) {
        let mut queue = self.queue();
        let owned = |id: Option<&str>| id.unwrap_or_default().to_owned();
        let time = now();
        for line in text.lines() {
            if queue.batch.bytes.len() >= QUEUE_MOST {
                queue.unwritten += 1;
                continue;
            }
            queue.push(&Line {
                time,
                stream: LogStream::Platform,
                instance: owned(about.instance),
                request: owned(about.request),
                part: 0,
                text: line.to_owned(),
            });
        }
        self.start(queue, logs);
    }

    /// What was dropped up to now is told now.
    pub(super) fn settle(self: &Arc<Self>, logs: &Logs) {
        let mut queue = self.queue();
        if let Some(dropped) = queue.bucket.take_dropped() {
            queue.push_dropped(dropped);
        }
        self.start(queue, logs);
    }

    /// Nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        let queue = self.queue();
        !queue.flushing && queue.batch.starts.is_empty() && queue.bucket.is_quiet()
    }

    /// Nobody has used it for so long.
    pub(super) fn is_unused(&self, within: Duration) -> bool {
        self.is_idle() && self.queue().used.elapsed() >= within
    }

    /// The application is removed; its files are the caller's as long as the answer lives.
    pub(super) async fn end(&self) -> tokio::sync::OwnedMutexGuard<()> {
        {
            let mut queue = self.queue();
            queue.ended = true;
            queue.batch = Batch::default();
        }
        self.room.notify_waiters();
        Arc::clone(&self.driving).lock_owned().await
    }

    /// Its files; `owner` is asked when they are opened. `None` when the application is gone.
    pub(super) async fn files(
        &self,
        logs: &Logs,
        owner: Option<&str>,
    ) -> Result<Option<&Mutex<Files>>, LogFailure> {
        self.queue().used = Instant::now();
        if let Some(files) = self.files.get() {
            return Ok(Some(files));
        }
        let owner = match owner {
            Some(owner) => owner.to_owned(),
            None => match logs.0.store.owner_of(&self.id).await? {
                Some(owner) => owner,
                None => return Ok(None),
            },
        };
        let open = async || {
            let folder = logs.folder(&owner, &self.id);
            blocking(move || Files::open(&folder)).await.map(Mutex::new)
        };
        Ok(Some(self.files.get_or_try_init(open).await?))
    }

    /// Runs a change of the files, one at a time, on a thread that may block.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&Mutex<Files>) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let driving = Arc::clone(&self.driving).lock_owned().await;
        let application = Arc::clone(self);
        blocking(move || {
            let _driving = driving;
            if application.queue().ended {
                return Err(io::Error::other("the application was deleted"));
            }
            let files = application.files.get().ok_or_else(|| io::Error::other("the log is not open"))?;
            change(files)
        })
        .await
    }

    /// Starts writing what waits, unless that goes on already.
    pub(super) fn start(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>, logs: &Logs) {
        queue.used = Instant::now();
        if queue.bucket.arm() {
            logs.0.runtime.spawn(tell_later(Arc::downgrade(self), logs.clone()));
        }
        if queue.flushing || queue.batch.starts.is_empty() {
            return;
        }
        queue.flushing = true;
        drop(queue);
        logs.0.runtime.spawn(flush(Arc::clone(self), logs.clone()));
    }

    pub(super) fn take(&self) -> Option<(Batch, u64)> {
        let mut queue = self.queue();
        if queue.batch.starts.is_empty() {
            queue.flushing = false;
            return None;
        }
        Some((std::mem::take(&mut queue.batch), queue.unwritten))
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, line: &Line) {
        if self.ended {
            return;
        }
        // The queue is bounded by far less.
        self.batch.starts.push(self.batch.bytes.len() as u32);
        record::encode(line, &mut self.batch.bytes);
    }

    /// Once lines are kept again, tells how many were not.
    pub(super) fn tell_dropped(&mut self) {
        let elapsed = self.elapsed();
        if let Some(dropped) = self.bucket.told(elapsed) {
            self.push_dropped(dropped);
        }
    }

    fn push_dropped(&mut self, dropped: u64) {
        let bound = self.bucket.rate().map(|rate| format!(": more than {} a second", rate.per_second));
        self.push(&platform(format!("{dropped} lines dropped{}", bound.unwrap_or_default())));
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

pub(super) fn lock(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a log is not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogFailure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log's files: {0}")]
    Files(#[from] io::Error),
}

pub(super) fn platform(text: String) -> Line {
    Line {
        time: now(),
        stream: LogStream::Platform,
        instance: String::new(),
        request: String::new(),
        part: 0,
        text,
    }
}

/// Runs what may block away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
