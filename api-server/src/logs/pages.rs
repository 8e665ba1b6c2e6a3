//! Reading: a page of an application's log.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use contract::{api::LogOrder, instance::LogStream};

use super::{
    Logs,
    application::{LogFailure, blocking, lock},
    files::Shot,
    record::Line,
    view::LogQuery,
};
use crate::store::{StoreError, Tenant};

/// Segments may be removed under a reader, who looks again then.
const TRIES: usize = 5;
/// How long after its first page the further pages of a list belong to it.
const ANCHORED: Duration = Duration::from_secs(120);
/// Lists that are remembered; the oldest go.
const ANCHORS: usize = 1000;

/// A page of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The lines with their numbers, in the order that was asked for.
    pub lines: Vec<(u64, Line)>,
    /// Those of all pages.
    pub total: u64,
    /// The number of the line after the last one.
    pub end: u64,
}

/// Why a log can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its files.
    #[error("the log can't be read: {0}")]
    Files(#[from] io::Error),
}

impl From<LogFailure> for LogError {
    fn from(failure: LogFailure) -> Self {
        match failure {
            LogFailure::Store(error) => Self::Store(error),
            LogFailure::Files(error) => Self::Files(error),
        }
    }
}

/// Where a list of pages began: callers that know page numbers alone get the pages that there were when they asked for
/// the first.
#[derive(Default)]
pub(super) struct Anchors(Mutex<HashMap<Anchor, (u64, Instant)>>);

/// Who reads what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Anchor {
    organization: String,
    application: String,
    size: u32,
    order: LogOrder,
}

impl Anchors {
    /// The end that a further page is cut from; a first page is cut from `end`, which is remembered.
    fn end(&self, anchor: Anchor, page: u32, end: u64) -> u64 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if page > 1 {
            let found = known.get(&anchor).filter(|(_, at)| at.elapsed() < ANCHORED);
            return found.map_or(end, |(anchored, _)| *anchored);
        }
        if known.len() >= ANCHORS {
            known.retain(|_, (_, at)| at.elapsed() < ANCHORED);
        }
        if known.len() >= ANCHORS {
            known.clear();
        }
        known.insert(anchor, (end, Instant::now()));
        end
    }
}

impl Logs {
    /// A page of the log of one of the tenant's applications; the caller has looked that it is.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn page(
        &self,
        tenant: &Tenant,
        application_id: &str,
        query: LogQuery,
    ) -> Result<LogPage, LogError> {
        let application = self.application(application_id);
        let Some(files) = application.files(self, Some(&tenant.organization_id)).await? else {
            return Ok(LogPage { lines: Vec::new(), total: 0, end: 0 });
        };
        let mut query = query;
        for attempt in 1.. {
            let shot = lock(files).shot();
            if query.before.is_none() && query.after.is_none() {
                let anchor = Anchor {
                    organization: tenant.organization_id.clone(),
                    application: application_id.to_owned(),
                    size: query.page.size,
                    order: query.order,
                };
                query.before = Some(self.0.anchors.end(anchor, query.page.number, shot.extent().next));
            }
            match blocking(move || read(&shot, &query)).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < TRIES => {}
                read => return Ok(read?),
            }
        }
        unreachable!("the last try answers")
    }
}

fn read(shot: &Shot, query: &LogQuery) -> io::Result<LogPage> {
    let extent = shot.extent();
    let chosen = extent.choose(query);
    let mut lines = Vec::new();
    if chosen.lines.start < extent.first && !chosen.lines.is_empty() {
        let next = shot.lines(extent.first..(extent.first + 1).min(extent.next))?;
        lines.push((chosen.lines.start, removed(extent.first, next.first().and_then(Option::as_ref))));
    }
    let kept = chosen.lines.start.max(extent.first)..chosen.lines.end;
    let found = shot.lines(kept.clone())?;
    lines.extend(kept.zip(found).map(|(number, line)| (number, line.unwrap_or_else(unreadable))));
    if query.order == LogOrder::TimestampDesc {
        lines.reverse();
    }
    Ok(LogPage { lines, total: chosen.total, end: extent.next.min(query.before.unwrap_or(u64::MAX)) })
}

/// The notice of what was removed; its time is that of the first line that is left.
fn removed(count: u64, next: Option<&Line>) -> Line {
    let text = format!("{count} lines removed: the log is kept for a time and up to a size");
    Line { time: next.map_or_else(super::now, |next| next.time), text, ..unreadable() }
}

/// What stands for a line whose file is damaged.
fn unreadable() -> Line {
    Line {
        time: 0,
        stream: LogStream::Platform,
        instance: String::new(),
        request: String::new(),
        part: 0,
        text: "this line can't be read: the log's file is damaged".to_owned(),
    }
}
