//! What `zipship dev` prints: a line a request with the function's output below it, and what happens to the files.
//! For people on a terminal, or one JSON object a line.

mod json;
mod pretty;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use contract::instance::{LogRecord, LogStream};

use self::json::Json;
use self::pretty::Pretty;

/// A request that runs longer shows its output as it comes.
const SHOWN_AFTER: Duration = Duration::from_millis(500);
/// Lines that are kept for a request before they are shown as they come.
const KEPT: usize = 200;

/// A function, for the greeting.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) url: String,
    /// `node 22.3.0`
    pub(crate) runtime: String,
    pub(crate) detected: Option<String>,
    pub(crate) handler: String,
    /// Of a private one.
    pub(crate) token: Option<String>,
    /// JSON text.
    pub(crate) claims: Option<String>,
}

/// Everything that can be told.
pub(super) enum News<'a> {
    Ready {
        url: &'a str,
        directory: &'a Path,
        functions: &'a [About],
    },
    /// A request that runs, told when there is output of it before its answer.
    Running(&'a Request),
    /// A request that is over.
    Done(&'a Request),
    /// `id` names the request where it is known.
    Output {
        function: &'a str,
        id: Option<&'a str>,
        record: &'a LogRecord,
    },
    Compiling {
        function: &'a str,
    },
    Reloaded {
        function: &'a str,
        files: &'a [String],
        took: Duration,
    },
    Broken {
        function: &'a str,
        why: &'a str,
    },
    Note(&'a str),
    Stopping,
}

/// One request.
pub(super) struct Request {
    id: String,
    method: String,
    path: String,
    started: Instant,
    /// 0: the caller went away before there was an answer.
    status: u16,
    /// The answer broke off.
    broken: bool,
    took: Duration,
    function: String,
    lines: Vec<LogRecord>,
    shown: bool,
}

impl Request {
    fn has_said(&self, record: &LogRecord) -> bool {
        record.stream == LogStream::Platform && self.lines.iter().any(|said| said.line == record.line)
    }
}

/// How news are written.
trait Style: Send {
    fn write(&mut self, news: &News<'_>);
}

/// Takes news from all sides and prints them in order.
pub(crate) struct Reporter(Mutex<State>);

struct State {
    style: Box<dyn Style>,
    /// By number: two callers may give the same id.
    running: HashMap<u64, Request>,
    begun: u64,
}

impl Reporter {
    /// For people, who are spared stack frames in the folder of the worker programs.
    pub(crate) fn pretty(workers: &Path) -> Arc<Self> {
        Self::new(Box::new(Pretty::of_this_terminal(workers)))
    }

    /// For machines.
    pub(crate) fn json() -> Arc<Self> {
        Self::new(Box::new(Json))
    }

    fn new(style: Box<dyn Style>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { style, running: HashMap::new(), begun: 0 })))
    }

    pub(super) fn ready(&self, url: &str, directory: &Path, functions: Vec<About>) {
        self.write(&News::Ready { url, directory, functions: &functions });
    }

    /// A request has come; it ends when its ticket is dropped.
    pub(super) fn begin(self: &Arc<Self>, id: String, method: &str, path: &str) -> Ticket {
        let request = Request {
            id,
            method: method.to_owned(),
            path: path.to_owned(),
            started: Instant::now(),
            status: 0,
            broken: false,
            took: Duration::ZERO,
            function: String::new(),
            lines: Vec::new(),
            shown: false,
        };
        let mut state = self.lock();
        state.begun += 1;
        let number = state.begun;
        state.running.insert(number, request);
        Ticket { reporter: self.clone(), number, status: 0, broken: false }
    }

    /// A line of a function's output.
    pub(super) fn line(&self, function: &str, record: LogRecord) {
        let mut state = self.lock();
        let State { style, running, .. } = &mut *state;
        let known = match &record.request_id {
            Some(id) => running.values_mut().find(|request| request.id == *id),
            None => None,
        };
        match known {
            // The shim's word for an error whose stack the worker has told already.
            Some(request) if request.has_said(&record) => {}
            Some(request) if !request.shown && request.lines.len() < KEPT => {
                function.clone_into(&mut request.function);
                request.lines.push(record);
            }
            known => {
                if let Some(request) = known {
                    show(style.as_mut(), request);
                }
                let id = record.request_id.as_deref();
                style.write(&News::Output { function, id, record: &record });
            }
        }
    }

    /// Shows the output of requests that take long; to be called now and then.
    pub(super) fn look(&self) {
        let mut state = self.lock();
        let State { style, running, .. } = &mut *state;
        for request in running.values_mut() {
            if request.started.elapsed() >= SHOWN_AFTER && !request.lines.is_empty() {
                show(style.as_mut(), request);
            }
        }
    }

    pub(super) fn compiling(&self, function: &str) {
        self.write(&News::Compiling { function });
    }

    pub(super) fn reloaded(&self, function: &str, files: &[String], took: Duration) {
        self.write(&News::Reloaded { function, files, took });
    }

    pub(super) fn broken(&self, function: &str, why: &str) {
        self.write(&News::Broken { function, why });
    }

    pub(super) fn note(&self, text: &str) {
        self.write(&News::Note(text));
    }

    pub(super) fn stopping(&self) {
        self.write(&News::Stopping);
    }

    fn write(&self, news: &News<'_>) {
        self.lock().style.write(news);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of a running request and what it has said so far; from now on its output is shown as it comes.
fn show(style: &mut dyn Style, request: &mut Request) {
    if !request.shown {
        request.shown = true;
        style.write(&News::Running(request));
    }
    lines(style, request);
}

fn lines(style: &mut dyn Style, request: &mut Request) {
    for record in request.lines.drain(..) {
        style.write(&News::Output { function: &request.function, id: Some(&request.id), record: &record });
    }
}

/// A request that runs, until dropped.
pub(super) struct Ticket {
    reporter: Arc<Reporter>,
    number: u64,
    status: u16,
    broken: bool,
}

impl Ticket {
    /// The answer begins.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// The answer's body ended before it was whole.
    pub(super) fn broke_off(&mut self) {
        self.broken = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.reporter.lock();
        let State { style, running, .. } = &mut *state;
        let Some(mut request) = running.remove(&self.number) else { return };
        request.status = self.status;
        request.broken = self.broken;
        request.took = request.started.elapsed();
        style.write(&News::Done(&request));
        lines(style.as_mut(), &mut request);
    }
}
