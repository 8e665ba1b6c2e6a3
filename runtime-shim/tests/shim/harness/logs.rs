//! The log records of a shim, as they come.

use std::io::{BufRead, BufReader, PipeReader};
use std::sync::{Arc, Condvar, Mutex};

use contract::instance::LogRecord;

use super::DEADLINE;

pub(crate) struct LogReader(Arc<(Mutex<Vec<LogRecord>>, Condvar)>);

impl LogReader {
    pub(super) fn start(pipe: PipeReader) -> Self {
        let shared: Arc<(Mutex<Vec<LogRecord>>, Condvar)> = Arc::default();
        let ours = shared.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let record = serde_json::from_str(&line).expect("a log record");
                ours.0.lock().expect("records").push(record);
                ours.1.notify_all();
            }
        });
        Self(shared)
    }

    /// Keeps the pipe open, and never reads it.
    pub(super) fn idle(pipe: PipeReader) -> Self {
        // For the life of the test.
        std::mem::forget(pipe);
        Self(Arc::default())
    }

    pub(super) fn all(&self) -> Vec<LogRecord> {
        self.0.0.lock().expect("records").clone()
    }

    pub(super) fn length(&self) -> usize {
        self.0.0.lock().expect("records").len()
    }

    pub(super) fn wait_for(&self, text: &str) -> LogRecord {
        self.wait_after(0, text).unwrap_or_else(|records| panic!("no {text:?} in {records:#?}"))
    }

    /// The record, or those that there were instead.
    pub(super) fn wait_after(&self, first: usize, text: &str) -> Result<LogRecord, Vec<LogRecord>> {
        let (records, changed) = &*self.0;
        let find = |records: &[LogRecord]| records[first..].iter().find(|r| r.line.contains(text)).cloned();
        let waiting = records.lock().expect("records");
        let (records, _) = changed
            .wait_timeout_while(waiting, DEADLINE, |records| find(records).is_none())
            .expect("records");
        find(&records).ok_or_else(|| records[first..].to_vec())
    }
}
