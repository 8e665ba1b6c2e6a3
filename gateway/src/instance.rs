//! An instance as those see it that talk to it: its name, its connections, and how it ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::core::InstanceId;
use crate::pool::Pool;
use crate::{Instances, Phase, Revision, StartedInstance};

/// How an instance ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) cause: String,
    pub(crate) out_of_memory: bool,
}

pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    /// A UUID in its short form: names a container and a socket.
    pub(crate) name: String,
    pub(crate) revision: Arc<Revision>,
    keep_alive: Duration,
    started: OnceLock<Started>,
    answered: AtomicBool,
    exit: watch::Sender<Option<Exit>>,
}

struct Started {
    pool: Pool,
    phases: Vec<Phase>,
}

impl Instance {
    pub(crate) fn new(id: InstanceId, revision: Arc<Revision>, keep_alive: Duration) -> Self {
        Self {
            id,
            name: uuid::Uuid::now_v7().simple().to_string(),
            revision,
            keep_alive,
            started: OnceLock::new(),
            answered: AtomicBool::new(false),
            exit: watch::Sender::new(None),
        }
    }

    pub(crate) fn ready(&self, started: StartedInstance) {
        let pool = Pool::new(started.address, self.keep_alive);
        // Set once: an instance is started once.
        let _ = self.started.set(Started { pool, phases: started.phases });
    }

    /// Its connections; `None` before it was ready, when nobody has a slot in it.
    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.started.get().map(|started| &started.pool)
    }

    pub(crate) fn phases(&self) -> &[Phase] {
        self.started.get().map_or(&[], |started| &started.phases)
    }

    /// An answer came; the first one is told.
    pub(crate) fn answered(&self, instances: &dyn Instances) {
        if !self.answered.swap(true, Ordering::Relaxed) {
            instances.first_answer(&self.name);
        }
    }

    pub(crate) fn exited(&self, exit: Exit) {
        self.exit.send_replace(Some(exit));
    }

    /// How it ended, when that becomes known in time: a connection breaks before the exit is reported.
    pub(crate) async fn exit_within(&self, limit: Duration) -> Option<Exit> {
        let mut exit = self.exit.subscribe();
        let known = tokio::time::timeout(limit, exit.wait_for(Option::is_some)).await;
        known.ok().and_then(Result::ok).and_then(|exit| exit.clone())
    }
}
