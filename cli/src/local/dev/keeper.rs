//! Keeps a function loaded as its files are: prepares a new instance beside the live one, then switches.
//!
//! Requests wait until the changes that had been seen when they came are loaded, or have failed to load; so no
//! state "reloading" is needed, only how far a function has come.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contract::runtime::Language;
use gateway::{Gateway, Revision};
use tokio::sync::watch;

use super::instances::Local;
use super::report::{About, Reporter};
use super::watch::{Changes, Watcher};
use crate::local::function::Function;
use crate::local::identity::{Namespace, claims};
use crate::local::interpreter::Interpreter;
use crate::local::plan::{Compiled, Programs, Setting, compile, plan};

/// A function that is served.
pub(super) struct Served {
    pub(super) function: Function,
    state: watch::Sender<State>,
}

/// How far it has come: up to which change, and with what result.
#[derive(Debug, Clone, Default)]
struct State {
    change: u64,
    /// Why it can't be loaded.
    broken: Option<Arc<str>>,
}

impl Served {
    pub(super) fn new(function: Function) -> Arc<Self> {
        Arc::new(Self { function, state: watch::Sender::new(State::default()) })
    }

    /// Its place in the gateway: `/f/<name>`.
    pub(super) fn id(&self) -> &str {
        &self.function.name
    }

    /// Waits until a change is loaded; the cause when it can't be.
    pub(super) async fn at(&self, change: u64) -> Result<(), Arc<str>> {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let state = state.wait_for(|state| state.change >= change).await;
        state.map_or(Ok(()), |state| state.broken.clone().map_or(Ok(()), Err))
    }

    /// Waits for the end of the first load, whatever came of it.
    pub(super) async fn loaded(&self) {
        let _ = self.at(1).await;
    }
}

/// What loading takes.
pub(super) struct Keeper {
    pub(super) gateway: Arc<Gateway>,
    pub(super) instances: Local,
    pub(super) watcher: Arc<Watcher>,
    pub(super) reporter: Arc<Reporter>,
    pub(super) programs: Programs,
    pub(super) namespace: Namespace,
    pub(super) room: PathBuf,
}

/// How a load ended.
enum Loaded {
    Live,
    Broken(String),
    /// The files changed again meanwhile.
    Overtaken,
}

impl Keeper {
    /// Loads a function now and after each save.
    pub(super) async fn keep(self: Arc<Self>, served: Arc<Served>, interpreter: Interpreter) {
        let mut changes = self.watcher.subscribe();
        for version in 1.. {
            let now = changes.borrow_and_update().clone();
            let loaded = self.load(&served, &interpreter, version, now.settled, &mut changes).await;
            let broken = match loaded {
                Loaded::Overtaken => continue,
                Loaded::Live => None,
                Loaded::Broken(why) => Some(why),
            };
            self.tell(&served, version, &now, broken.as_deref());
            let broken = broken.map(Arc::from);
            served.state.send_replace(State { change: now.settled, broken });
            if changes.wait_for(|changes| changes.settled > now.settled).await.is_err() {
                return;
            }
        }
    }

    fn tell(&self, served: &Served, version: u64, changes: &Changes, broken: Option<&str>) {
        match broken {
            Some(why) => self.reporter.broken(served.id(), why),
            None if version == 1 => {}
            None => {
                let files = still_there(&served.function.directory, &changes.files);
                self.reporter.reloaded(served.id(), &files, changes.since.elapsed());
            }
        }
    }

    async fn load(
        &self,
        served: &Served,
        interpreter: &Interpreter,
        version: u64,
        change: u64,
        changes: &mut watch::Receiver<Changes>,
    ) -> Loaded {
        let compiled = match self.compile(served, interpreter).await {
            Ok(compiled) => compiled,
            Err(why) => return Loaded::Broken(why),
        };
        let setting = Setting { programs: &self.programs, interpreter, namespace: &self.namespace };
        let plan = match plan(&served.function, &setting, &compiled, version, &self.room) {
            Ok(plan) => plan,
            Err(error) => return Loaded::Broken(format!("{error:#}")),
        };
        let revision = Arc::new(revision(&served.function, version));
        self.instances.expect(&revision, plan);
        // Cancellation: a start that is no longer wanted goes on until it is discarded, here.
        let prepared = tokio::select! {
            prepared = self.gateway.prepare(revision.clone()) => prepared,
            _ = changes.wait_for(|now| now.settled > change) => {
                self.gateway.discard(&revision.id);
                return Loaded::Overtaken;
            }
        };
        let switched = match prepared {
            Ok(()) => self.gateway.switch(&revision.id).map_err(|error| error.to_string()),
            Err(failure) => Err(failure.message),
        };
        match switched {
            Ok(()) => {
                self.instances.only(&revision);
                Loaded::Live
            }
            Err(why) => Loaded::Broken(why),
        }
    }

    async fn compile(&self, served: &Served, interpreter: &Interpreter) -> Result<Compiled, String> {
        if served.function.language() == Language::Golang {
            self.reporter.compiling(served.id());
        }
        let (function, interpreter) = (served.function.clone(), interpreter.clone());
        let compiling = tokio::task::spawn_blocking(move || compile(&function, &interpreter));
        compiling.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// What is told of the functions at the start.
    pub(super) fn about<'a>(
        &self,
        served: impl Iterator<Item = (&'a Arc<Served>, &'a Interpreter)>,
        url: &str,
        named: bool,
    ) -> Vec<About> {
        let about = |(served, interpreter): (&Arc<Served>, &Interpreter)| {
            let function = &served.function;
            // Keys were made when a function is private, so signing works.
            let token =
                function.private.then(|| self.namespace.token(&function.application_id).ok()).flatten();
            About {
                name: function.name.clone(),
                url: if named { format!("{url}/{}", function.name) } else { format!("{url}/") },
                runtime: format!("{} {}", function.language(), interpreter.version),
                detected: function.detected.clone(),
                handler: function.handler.clone(),
                claims: token.as_deref().map(claims),
                token,
            }
        };
        served.map(about).collect()
    }
}

/// The files of a save without those that an editor made on the way, unless there are no others.
fn still_there(root: &Path, files: &[String]) -> Vec<String> {
    let there: Vec<String> = files.iter().filter(|file| root.join(file).exists()).cloned().collect();
    if there.is_empty() { files.to_vec() } else { there }
}

fn revision(function: &Function, version: u64) -> Revision {
    Revision {
        id: format!("{}-{version}", function.name),
        function_id: function.name.clone(),
        version,
        program: gateway::Program::Function,
        image_digest: String::new(),
        public: !function.private,
        timeout: function.timeout,
        memory_mb: function.memory_mb,
        // Kept, however long nobody calls.
        min_scale: 1,
        max_scale: 1,
        max_concurrency: function.max_concurrency,
    }
}

/// How long an instance may take to end when nothing of it is wanted any more.
pub(super) const STOP: Duration = Duration::from_millis(1500);
