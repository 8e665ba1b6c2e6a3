//! The store of unpacked layers: one directory a diff id, whole or not there.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use oci::Digest;
use oci::digest::Algorithm;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

use super::launcher::Caller;
use super::overlay::Opaque;
use super::{sys, unpack};
use crate::{Compression, RunnerError, UnpackedLayer};

/// Layers that are unpacked at the same time.
const AT_ONCE: usize = 16;
/// Layers that may wait for their turn; each holds a descriptor.
const QUEUE_MAX: usize = 256;

/// The store and what is being unpacked into it.
#[derive(Debug)]
pub(crate) struct Layers {
    directory: PathBuf,
    opaque: Opaque,
    jobs: HashMap<Digest, Job>,
    queue: VecDeque<Queued>,
    /// Children that remove what a failed unpacking left, and layers: they keep a place.
    sweepers: HashSet<Pid>,
    started: u64,
}

#[derive(Debug)]
struct Job {
    pid: Pid,
    temporary: PathBuf,
    report: OwnedFd,
    waiters: Vec<Caller>,
}

/// A layer that waits until others are done.
#[derive(Debug)]
struct Queued {
    diff_id: Digest,
    blob: OwnedFd,
    compression: Compression,
    waiters: Vec<Caller>,
}

/// The layer whose directory has this name.
fn named(hex: &str) -> Option<Digest> {
    Algorithm::ALL.iter().find_map(|algorithm| Digest::parse(&format!("{}:{hex}", algorithm.name())).ok())
}

/// A child that was started, or who is to be told why not.
type Started = Result<Pid, (Vec<Caller>, io::Error)>;

impl Layers {
    pub(crate) fn new(directory: PathBuf, opaque: Opaque) -> Self {
        let (jobs, queue, sweepers) = (HashMap::new(), VecDeque::new(), HashSet::new());
        Self { directory, opaque, jobs, queue, sweepers, started: 0 }
    }

    pub(crate) fn has(&self, diff_id: &Digest) -> bool {
        self.directory.join(diff_id.hex()).is_dir()
    }

    /// The layers after this one by their hex, so many at most.
    pub(crate) fn list(&self, after: Option<&Digest>, most: usize) -> io::Result<Vec<UnpackedLayer>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(diff_id) = name.to_str().and_then(named) else { continue };
            if after.is_some_and(|after| diff_id.hex() <= after.hex()) {
                continue;
            }
            // Set when it was renamed to its name; the time of the last change is the archive's.
            let metadata = entry.metadata()?;
            let since = metadata.ctime() * 1000 + metadata.ctime_nsec() / 1_000_000;
            found.push(UnpackedLayer { diff_id, since });
        }
        found.sort_by(|one, other| one.diff_id.hex().cmp(other.diff_id.hex()));
        found.truncate(most);
        Ok(found)
    }

    /// Takes a layer away that nobody has mounted. `false`: it is not there.
    pub(crate) fn remove(&mut self, diff_id: &Digest) -> Result<bool, RunnerError> {
        if !self.has(diff_id) {
            return Ok(false);
        }
        // Layers that somebody waits for need a child too.
        if self.sweepers.len() >= AT_ONCE / 4 {
            return Err(RunnerError::Unavailable("other layers are being removed".to_owned()));
        }
        self.started += 1;
        let temporary = self.directory.join(format!(".tmp-{}", self.started));
        fs::rename(self.directory.join(diff_id.hex()), &temporary)
            .map_err(|error| RunnerError::Layer(error.to_string()))?;
        self.sweepers.extend(sweep(&temporary));
        Ok(true)
    }

    /// Queues a layer for a caller, or lets it wait for what was asked already. `start_next` begins.
    pub(crate) fn ask(
        &mut self,
        diff_id: Digest,
        blob: OwnedFd,
        compression: Compression,
        caller: Caller,
    ) -> Result<(), RunnerError> {
        let queued = self.queue.iter_mut().find(|queued| queued.diff_id == diff_id);
        let waiters = self.jobs.get_mut(&diff_id).map(|job| &mut job.waiters);
        if let Some(waiters) = waiters.or(queued.map(|queued| &mut queued.waiters)) {
            waiters.push(caller);
            return Ok(());
        }
        if self.queue.len() >= QUEUE_MAX {
            return Err(RunnerError::Unavailable(format!("{QUEUE_MAX} layers wait to be unpacked")));
        }
        self.queue.push_back(Queued { diff_id, blob, compression, waiters: vec![caller] });
        Ok(())
    }

    /// Begins with the next layer, if it is its turn.
    pub(crate) fn start_next(&mut self) -> Option<(Digest, Started)> {
        if self.jobs.len() + self.sweepers.len() >= AT_ONCE {
            return None;
        }
        let Queued { diff_id, blob, compression, waiters } = self.queue.pop_front()?;
        self.started += 1;
        let temporary = self.directory.join(format!(".tmp-{}", self.started));
        let started = match start(&diff_id, &blob, compression, self.opaque, &temporary) {
            Ok((pid, report)) => {
                self.jobs.insert(diff_id.clone(), Job { pid, temporary, report, waiters });
                Ok(pid)
            }
            Err(error) => {
                // Not even made, perhaps.
                let _ = fs::remove_dir(&temporary);
                Err((waiters, error))
            }
        };
        Some((diff_id, started))
    }

    /// A child of unknown purpose has ended; whether it was a sweeper.
    pub(crate) fn swept(&mut self, pid: Pid) -> bool {
        self.sweepers.remove(&pid)
    }

    /// Forgets what was not begun.
    pub(crate) fn forget_queue(&mut self) {
        self.queue.clear();
    }

    /// The child of a layer has ended: who waited for it, and what came out.
    pub(crate) fn finish(
        &mut self,
        diff_id: &Digest,
        success: bool,
    ) -> (Vec<Caller>, Result<(), RunnerError>) {
        let Some(job) = self.jobs.remove(diff_id) else { return (Vec::new(), Ok(())) };
        let target = self.directory.join(diff_id.hex());
        let result = match success {
            true => fs::rename(&job.temporary, target).map_err(|error| RunnerError::Layer(error.to_string())),
            false => Err(RunnerError::Layer(reason(job.report))),
        };
        if result.is_err() {
            self.sweepers.extend(sweep(&job.temporary));
        }
        (job.waiters, result)
    }

    /// Ends all unpacking; the ends of the children are still to come.
    pub(crate) fn kill_all(&mut self) {
        self.forget_queue();
        for job in self.jobs.values() {
            // Gone already is as good.
            let _ = rustix::process::kill_process(job.pid, Signal::KILL);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }
}

fn start(
    diff_id: &Digest,
    blob: &OwnedFd,
    compression: Compression,
    opaque: Opaque,
    temporary: &Path,
) -> io::Result<(Pid, OwnedFd)> {
    fs::create_dir(temporary)?;
    fs::set_permissions(temporary, Permissions::from_mode(0o755))?;
    let (report, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let pid = unpack::spawn(blob.as_fd(), (compression, opaque), diff_id, temporary, write.as_fd())?;
    Ok((pid, report))
}

fn reason(report: OwnedFd) -> String {
    let mut text = String::new();
    match fs::File::from(report).read_to_string(&mut text) {
        Ok(1..) => text,
        _ => "the unpacking process died".to_owned(),
    }
}

/// Removes a tree in a child of its own, as large ones take long.
fn sweep(directory: &Path) -> Option<Pid> {
    match sys::fork() {
        Ok(None) => {
            let done = fs::remove_dir_all(directory).is_ok();
            sys::exit_now(i32::from(!done))
        }
        Ok(child) => child,
        Err(error) => {
            tracing::warn!(%error, path = %directory.display(), "a directory stays behind");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_listed_in_pages_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let mut expected: Vec<_> = (0..5).map(|number: u8| Digest::of(&[number])).collect();
        for name in expected.iter().map(Digest::hex).chain([".tmp-1", "else"]) {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        expected.sort_by(|one, other| one.hex().cmp(other.hex()));
        let layers = Layers::new(directory.path().to_owned(), Opaque::Attribute);
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = layers.list(after.as_ref(), 2).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.diff_id.clone());
            listed.extend(page.into_iter().map(|layer| layer.diff_id));
        }
        assert_eq!(listed, expected);
    }
}
