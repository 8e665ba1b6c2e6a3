//! Deleting what is marked `deleting`: stop what runs, drop files, drop rows. Each step may be repeated, so a start
//! goes on where a killed server stood.

use contract::api::NamespaceStatus;
use futures_util::future::join_all;

use crate::{
    AppState,
    store::{Deleting, StoreError, persist},
    tokens,
};

/// Removes an application that is `deleting`. A container's images stay, as those of a namespace do.
///
/// # Errors
/// [`StoreError::Database`]; what is left is tried again at the next start.
pub async fn application(state: &AppState, gone: &Deleting) -> Result<(), StoreError> {
    state.deployments.removed(&gone.id).await;
    forget(state, gone).await
}

/// Drops what is kept of an application of which nothing runs.
async fn forget(state: &AppState, gone: &Deleting) -> Result<(), StoreError> {
    state.logs.remove(&gone.id).await;
    // Rows last: whoever finds the application gone finds nothing of it.
    for key in state.store.archives_of(&gone.id).await? {
        state.archives.remove(&key).await;
    }
    state.archives.remove_uploads(&gone.id).await;
    state.store.application_gone(gone).await
}

/// Removes a namespace that is `deleting`, with its applications. Its registry namespace and images stay.
///
/// # Errors
/// [`StoreError::Database`]; what is left is tried again at the next start.
pub async fn namespace(state: &AppState, id: &str) -> Result<(), StoreError> {
    let mut going = state.store.deleting_applications().await?;
    going.retain(|gone| gone.namespace_id == id);
    // All at once: none of them serves while another one drains.
    join_all(going.iter().map(|gone| state.deployments.removed(&gone.id))).await;
    for gone in &going {
        forget(state, gone).await?;
    }
    state.store.namespace_gone(id).await
}

/// [`application`] in the background; a failure is logged.
pub fn spawn_application(state: &AppState, gone: Deleting) {
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(error) = persist(|| application(&state, &gone)).await {
            tracing::error!(application.id = %gone.id, %error, "an application could not be removed");
        }
    });
}

/// [`namespace`] in the background; a failure is logged.
pub fn spawn_namespace(state: &AppState, id: String) {
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(error) = persist(|| namespace(&state, &id)).await {
            tracing::error!(namespace.id = %id, %error, "a namespace could not be removed");
        }
    });
}

/// For the start, before anybody can upload: drops archives that no row names, and logs of what is gone. A server that is
/// gone was about to write the archives down, or to remove them.
///
/// # Errors
/// [`StoreError::Database`]. A file that cannot be removed stays for the collector too.
pub async fn sweep(state: &AppState) -> Result<(), StoreError> {
    // A bucket may be younger than a database that was restored: there the collector alone removes, and nothing young.
    if state.archives.disk().is_some() {
        sweep_archives(state).await?;
    }
    state.logs.sweep().await
}

async fn sweep_archives(state: &AppState) -> Result<(), StoreError> {
    let known = state.store.archives_known().await?;
    match state.archives.list().await {
        Ok(kept) => {
            for key in kept.into_iter().map(|kept| kept.key).filter(|key| !known.contains(key)) {
                state.archives.remove(&key).await;
            }
        }
        Err(error) => tracing::warn!(%error, "the archives could not be looked through"),
    }
    Ok(())
}

/// For the start: goes on with namespaces in `creating` and with everything in `deleting`. Returns when the work is
/// found; it is done in the background.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn resume(state: &AppState) -> Result<(), StoreError> {
    for id in state.store.namespaces_in_state(NamespaceStatus::Creating).await? {
        tokens::spawn_key_pair(state, id);
    }
    let namespaces = state.store.namespaces_in_state(NamespaceStatus::Deleting).await?;
    for gone in state.store.deleting_applications().await? {
        if !namespaces.contains(&gone.namespace_id) {
            spawn_application(state, gone);
        }
    }
    for id in namespaces {
        spawn_namespace(state, id);
    }
    Ok(())
}
