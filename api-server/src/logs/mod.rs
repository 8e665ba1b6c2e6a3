//! What applications say, and what the platform says about them: one log for each function and container.
//!
//! ```text
//!  instance ─pipe─▶ reader ─rate─▶ queue (bounded) ─▶ flush ─▶ segment ─▶ closed, compressed ─▶ removed by a budget
//!  deploy, gateway, cron ─event──▶   of the application   one at a time    (the last one)
//! ```
//!
//! Each application has a queue and files of its own ([`application`], [`flush`]), and its readers wait for its own queue alone: who
//! says too much is held up, or cut by its rate, and nobody else. A line's number is its place in its log; it is never
//! given twice, and what was removed or dropped is counted ([`view`], [`rate`]). The files are below
//! `logs/<organization>/<application>/`, and nothing about them is in the store: the folder's listing is all there is
//! to know ([`files`]).

mod application;
mod budget;
mod files;
mod flush;
mod pages;
mod rate;
mod record;
mod segment;
mod sweep;
mod view;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify};

pub use application::{About, Said};
pub use budget::LogLimits;
pub use pages::{LogError, LogPage};
pub use rate::LogRate;
pub use record::Line;
pub use view::{Extent, LogQuery, id_of, number_of};

use application::Application;

use crate::store::{Store, now_ms};

/// How long the end of the server waits for lines that are on their way.
const CLOSE: Duration = Duration::from_secs(3);
const CLOSE_PAUSE: Duration = Duration::from_millis(5);

/// The logs of all applications. Cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    root: PathBuf,
    limits: LogLimits,
    store: Store,
    runtime: Handle,
    known: Mutex<Known>,
    /// Rings when a segment was closed: a budget may be used up.
    grown: Notify,
    anchors: pages::Anchors,
}

#[derive(Default)]
struct Known {
    /// Those that were written to or read not long ago, by id.
    applications: HashMap<String, Arc<Application>>,
    /// Those that were removed in this process's life; their ids never come back.
    removed: HashSet<String>,
}

impl Logs {
    /// The logs below a folder, which need not be there yet. The store says whose an application is.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(root: PathBuf, limits: LogLimits, store: Store) -> Self {
        Self(Arc::new(Inner {
            root,
            limits,
            store,
            runtime: Handle::current(),
            known: Mutex::default(),
            grown: Notify::new(),
            anchors: pages::Anchors::default(),
        }))
    }

    /// Where an instance's lines go.
    #[must_use]
    pub fn said(&self, application_id: &str, instance: &str) -> Said {
        Said::new(self.clone(), self.application(application_id), instance)
    }

    /// The platform's own words about an application, one line of the log for each of the text's. Never waits.
    pub fn event(&self, application_id: &str, about: About<'_>, text: &str) {
        self.application(application_id).event(self, about, text);
    }

    /// The application is deleted: its log goes, and what is still said is not kept. May be repeated.
    pub async fn remove(&self, application_id: &str) {
        let known = {
            let mut known = self.0.known();
            known.removed.insert(application_id.to_owned());
            known.applications.remove(application_id)
        };
        // Whoever writes its last batch now is waited for.
        let _driving = match &known {
            Some(application) => Some(application.end().await),
            None => None,
        };
        self.remove_folders(application_id).await;
    }

    /// Waits until all that was said is written, for a few seconds at most. For the server's end, when nothing runs
    /// any more.
    pub async fn close(&self) {
        let deadline = tokio::time::Instant::now() + CLOSE;
        loop {
            let known: Vec<_> = self.0.known().applications.values().cloned().collect();
            known.iter().for_each(|application| application.settle(self));
            // One of them is `known`'s own, the other the map's: more are held by readers of pipes.
            let is_idle = |one: &Arc<Application>| Arc::strong_count(one) <= 2 && one.is_idle();
            if known.iter().all(is_idle) {
                return;
            }
            if tokio::time::Instant::now() >= deadline {
                tracing::warn!("the last lines of some logs may be lost: they took too long to be written");
                return;
            }
            drop(known);
            tokio::time::sleep(CLOSE_PAUSE).await;
        }
    }

    fn application(&self, id: &str) -> Arc<Application> {
        let mut known = self.0.known();
        if let Some(application) = known.applications.get(id) {
            return Arc::clone(application);
        }
        let removed = known.removed.contains(id);
        let application = Arc::new(Application::new(id, self.0.limits.rate, removed));
        if !removed {
            known.applications.insert(id.to_owned(), Arc::clone(&application));
        }
        application
    }

    fn folder(&self, organization_id: &str, application_id: &str) -> PathBuf {
        self.0.root.join(organization_id).join(application_id)
    }

    fn limits(&self) -> &LogLimits {
        &self.0.limits
    }

    fn root(&self) -> &Path {
        &self.0.root
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Now, in milliseconds since the Unix epoch.
fn now() -> u64 {
    u64::try_from(now_ms()).unwrap_or_default()
}
