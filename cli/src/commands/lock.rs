//! `zipship lock` and `zipship unlock`: an operator's word, in the store of a server on this machine. One that runs
//! heeds it within a second or two.

use std::process::ExitCode;

use anyhow::bail;
use api_server::store::{Locked, StoreError};
use clap::Args;
use serde_json::json;

use super::state::OwnState;

/// What is locked can be read but not written (the API answers 423), and its callers get 404; requests that run are
/// finished, and a deploy that goes on is ended. A namespace is locked with all that is in it. A server that runs heeds
/// it within two seconds.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// Id of a namespace, a function or a container, of whichever organization.
    id: String,
    #[command(flatten)]
    place: OwnState,
}

/// The state is again what the last deploy left. A namespace is unlocked with all that is in it.
#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// Id of what is locked.
    id: String,
    #[command(flatten)]
    place: OwnState,
}

/// Locks.
pub(crate) fn lock(lock: &Lock) -> anyhow::Result<ExitCode> {
    let done = lock.place.open(async |store| known(&lock.id, store.lock(&lock.id).await))?;
    tell(&lock.place, &lock.id, "locked", &done);
    Ok(ExitCode::SUCCESS)
}

/// Unlocks.
pub(crate) fn unlock(unlock: &Unlock) -> anyhow::Result<ExitCode> {
    let done = unlock.place.open(async |store| known(&unlock.id, store.unlock(&unlock.id).await))?;
    tell(&unlock.place, &unlock.id, "unlocked", &done);
    Ok(ExitCode::SUCCESS)
}

fn known(id: &str, done: Result<Locked, StoreError>) -> anyhow::Result<Locked> {
    match done {
        Err(StoreError::Missing { .. }) => {
            bail!("no namespace, function or container has the id {id}; `zipship function list` shows ids")
        }
        done => Ok(done?),
    }
}

fn tell(place: &OwnState, id: &str, verb: &str, done: &Locked) {
    if place.json {
        let printed = json!({
            "id": id,
            "kind": done.kind,
            "name": done.name,
            "status": done.state,
            "applications": done.applications,
        });
        println!("{printed:#}");
        return;
    }
    let with = match (done.kind.as_str(), done.applications) {
        ("namespace", count) => format!(", with {count} functions and containers in it"),
        _ => String::new(),
    };
    println!("{verb} the {} {} ({id}){with}", done.kind, done.name);
}
