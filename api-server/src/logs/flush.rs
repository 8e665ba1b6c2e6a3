//! The task that writes an application's lines: only while something waits, all that waits at once.

use std::{
    io,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use super::{
    Logs,
    application::{Application, LogFailure, lock, platform},
    files::{self, Batch, Files},
    now,
    rate::PAUSE_MS,
    record,
};
use crate::store::persist;

/// Tells how many lines were dropped, also when no other line comes.
pub(super) async fn tell_later(application: Weak<Application>, logs: Logs) {
    tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
    let Some(application) = application.upgrade() else { return };
    let mut queue = application.queue();
    queue.bucket.disarm();
    queue.tell_dropped();
    application.start(queue, &logs);
}

/// Writes until nothing waits.
pub(super) async fn flush(application: Arc<Application>, logs: Logs) {
    while let Some((batch, unwritten)) = application.take() {
        application.room.notify_waiters();
        // While the database is away its readers wait; the queue is bounded.
        let opened = persist(async || match application.files(&logs, None).await {
            Ok(files) => Ok(Ok(files.is_some())),
            Err(LogFailure::Store(error)) => Err(error),
            Err(LogFailure::Files(error)) => Ok(Err(error)),
        });
        let lines = batch.starts.len() as u64;
        let written = match opened.await {
            // It is deleted: nobody can read it.
            Ok(Ok(false)) => Ok(()),
            Ok(Ok(true)) => write(&application, &logs, batch, unwritten).await,
            Ok(Err(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        };
        let mut queue = application.queue();
        match written {
            Ok(()) => queue.unwritten -= unwritten,
            Err(_) if queue.ended => {}
            Err(error) => {
                if queue.unwritten == 0 {
                    tracing::error!(application.id = %application.id, %error, "a log could not be written");
                }
                queue.unwritten += lines;
            }
        }
    }
}

/// Writes a batch, and closes and compresses the segment when that is due.
async fn write(application: &Arc<Application>, logs: &Logs, batch: Batch, unwritten: u64) -> io::Result<()> {
    let limits = *logs.limits();
    let rolled = application
        .change(move |files| {
            let now = now();
            let mut locked = lock(files);
            locked.append(&after_notice(unwritten, batch), now)?;
            if !locked.is_full(limits.segment_bytes(), limits.roll_before(now)) {
                return Ok(false);
            }
            locked.roll()?;
            Ok(true)
        })
        .await?;
    if rolled {
        let packed = application.change(move |files| pack_closed(files, limits.application_bytes)).await;
        if let Err(error) = packed {
            tracing::warn!(application.id = %application.id, %error, "a closed log could not be compressed");
        }
        logs.0.grown.notify_one();
    }
    Ok(())
}

/// Compresses what was closed, and removes what the budget has no room for. Readers go on meanwhile.
fn pack_closed(files: &Mutex<Files>, budget: u64) -> io::Result<()> {
    let (folder, closed) = {
        let files = lock(files);
        (files.folder(), files.unpacked())
    };
    for base in closed {
        let bytes = files::pack(&folder, base)?;
        lock(files).packed(base, bytes);
    }
    lock(files).shrink(budget);
    Ok(())
}

/// The lines, after the notice that others could not be written.
fn after_notice(unwritten: u64, mut batch: Batch) -> Batch {
    if unwritten == 0 {
        return batch;
    }
    let mut all = Batch { bytes: Vec::new(), starts: vec![0] };
    let text = format!("{unwritten} lines dropped: the server could not write them");
    record::encode(&platform(text), &mut all.bytes);
    // A queue is bounded by far less.
    let shift = all.bytes.len() as u32;
    all.starts.extend(batch.starts.iter().map(|start| start + shift));
    all.bytes.append(&mut batch.bytes);
    all
}
