//! What callers of a function get while nothing of it serves, and that a deleted function stays deleted although
//! a deploy of it may still be under way.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use contract::api::ApplicationStatus;
use gateway::{Gateway, RouteState};

use super::job::routed;
use crate::store::Revision;

/// The gateway's routes as deploys and deletes change them.
pub(super) struct Routes {
    gateway: Arc<Gateway>,
    /// Functions that were deleted in this process's life; their ids never come back.
    removed: Mutex<HashSet<String>>,
    /// Functions that an operator has locked: no deploy gives them another route.
    locked: Mutex<HashSet<String>>,
}

impl Routes {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, removed: Mutex::default(), locked: Mutex::default() }
    }

    /// Says what callers get; without effect for a deleted function, and for a locked one unless it says so too.
    pub(super) fn set(&self, function_id: &str, state: RouteState) {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut locked = self.locked();
        if state == RouteState::Locked {
            locked.insert(function_id.to_owned());
        } else if locked.contains(function_id) {
            return;
        }
        if !removed.contains(function_id) {
            self.gateway.set_route(function_id, state);
        }
    }

    /// Locks these; the answer is which of them were not.
    pub(super) fn lock(&self, ids: &HashSet<String>) -> Vec<String> {
        let new: Vec<String> = ids.difference(&self.locked()).cloned().collect();
        new.iter().for_each(|id| self.set(id, RouteState::Locked));
        new
    }

    /// Those that are locked here, but not in this set.
    pub(super) fn not_locked_in(&self, ids: &HashSet<String>) -> Vec<String> {
        self.locked().difference(ids).cloned().collect()
    }

    /// Callers get this from now on, and what is live.
    pub(super) fn unlock(&self, function_id: &str, state: RouteState) {
        self.locked().remove(function_id);
        self.set(function_id, state);
    }

    fn locked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a revision live without a deploy; without effect for a deleted function.
    pub(super) fn restore(&self, revision: &Revision) {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        if !removed.contains(&revision.application_id) {
            self.gateway.restore(routed(revision));
        }
    }

    /// The function is deleted; resolves when nothing of it runs.
    pub(super) async fn remove(&self, function_id: &str) {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).insert(function_id.to_owned());
        self.locked().remove(function_id);
        self.gateway.remove(function_id).await;
    }

    /// At the end of a deploy: removes what it has put up for a function that was deleted meanwhile.
    pub(super) async fn clear_removed(&self, function_id: &str) {
        let is_removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner).contains(function_id);
        if is_removed {
            self.gateway.remove(function_id).await;
        }
    }
}

/// What callers of a function get that has no live revision.
pub(super) fn without_revision(status: ApplicationStatus, deploying: bool) -> RouteState {
    match status {
        ApplicationStatus::Locked => RouteState::Locked,
        _ if deploying => RouteState::Deploying,
        ApplicationStatus::Error => failed(),
        _ => RouteState::NeverDeployed,
    }
}

/// The class of the cause; the cause itself is the owner's to read.
pub(super) fn failed() -> RouteState {
    RouteState::DeployFailed { message: "the last deploy failed".to_owned() }
}
