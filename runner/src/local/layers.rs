//! The store of unpacked layers: one directory a diff id, whole or not there.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use oci::Digest;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

use super::launcher::Caller;
use super::{sys, unpack};
use crate::{Compression, RunnerError};

/// The store and what is being unpacked into it.
#[derive(Debug)]
pub(crate) struct Layers {
    directory: PathBuf,
    jobs: HashMap<Digest, Job>,
    started: u64,
}

#[derive(Debug)]
struct Job {
    pid: Pid,
    temporary: PathBuf,
    report: OwnedFd,
    waiters: Vec<Caller>,
}

impl Layers {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, jobs: HashMap::new(), started: 0 }
    }

    pub(crate) fn has(&self, diff_id: &Digest) -> bool {
        self.directory.join(diff_id.hex()).is_dir()
    }

    /// Begins to unpack a layer for a caller, or lets it wait for the child that does already. The new child's
    /// process id, if one was needed.
    pub(crate) fn unpack(
        &mut self,
        diff_id: &Digest,
        blob: &OwnedFd,
        compression: Compression,
        caller: Caller,
    ) -> io::Result<Option<Pid>> {
        if let Some(job) = self.jobs.get_mut(diff_id) {
            job.waiters.push(caller);
            return Ok(None);
        }
        self.started += 1;
        let temporary = self.directory.join(format!(".tmp-{}", self.started));
        fs::create_dir(&temporary)?;
        fs::set_permissions(&temporary, Permissions::from_mode(0o755))?;
        let (report, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let pid = unpack::spawn(blob.as_fd(), compression, diff_id, &temporary, write.as_fd())?;
        let job = Job { pid, temporary, report, waiters: vec![caller] };
        self.jobs.insert(diff_id.clone(), job);
        Ok(Some(pid))
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
            sweep(job.temporary);
        }
        (job.waiters, result)
    }

    /// Ends all unpacking; the ends of the children are still to come.
    pub(crate) fn kill_all(&self) {
        for job in self.jobs.values() {
            // Gone already is as good.
            let _ = rustix::process::kill_process(job.pid, Signal::KILL);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }
}

fn reason(report: OwnedFd) -> String {
    let mut text = String::new();
    match fs::File::from(report).read_to_string(&mut text) {
        Ok(1..) => text,
        _ => "the unpacking process died".to_owned(),
    }
}

/// Removes a tree in a child of its own, as large ones take long.
fn sweep(directory: PathBuf) {
    match sys::fork() {
        Ok(None) => {
            let done = fs::remove_dir_all(&directory).is_ok();
            sys::exit_now(i32::from(!done))
        }
        Ok(Some(_)) => {}
        Err(error) => tracing::warn!(%error, path = %directory.display(), "a directory stays behind"),
    }
}
