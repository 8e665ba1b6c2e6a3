//! Deleting what is marked `deleting`: stop what runs, drop files, drop rows. Each step may be repeated, so a start
//! goes on where a killed server stood.

use contract::api::NamespaceStatus;
use futures_util::future::join_all;

use crate::{
    AppState,
    store::{StoreError, persist},
    tokens,
};

/// Removes a function that is `deleting`.
///
/// # Errors
/// [`StoreError::Database`]; what is left is tried again at the next start.
pub async fn function(state: &AppState, id: &str) -> Result<(), StoreError> {
    state.deployments.removed(id).await;
    forget(state, id).await
}

/// Drops what is kept of a function of which nothing runs.
async fn forget(state: &AppState, id: &str) -> Result<(), StoreError> {
    // Rows last: whoever finds the function gone finds nothing of it.
    if let Some(archive) = state.store.function_by_id(id).await?.and_then(|function| function.archive) {
        state.archives.remove(&archive.key).await;
    }
    state.store.function_gone(id).await
}

/// Removes a namespace that is `deleting`, with its functions. Its registry namespace and images stay.
///
/// # Errors
/// [`StoreError::Database`]; what is left is tried again at the next start.
pub async fn namespace(state: &AppState, id: &str) -> Result<(), StoreError> {
    let functions = state.store.deleting_functions(Some(id)).await?;
    // All at once: none of them serves while another one drains.
    join_all(functions.iter().map(|function_id| state.deployments.removed(function_id))).await;
    for function_id in functions {
        forget(state, &function_id).await?;
    }
    state.store.namespace_gone(id).await
}

/// [`function`] in the background; a failure is logged.
pub fn spawn_function(state: &AppState, id: String) {
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(error) = persist(|| function(&state, &id)).await {
            tracing::error!(function.id = %id, %error, "a function could not be removed");
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

/// For the start, before anybody can upload: drops archives that nobody needs. One that is being uploaded is needed
/// by nobody yet.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn sweep(state: &AppState) -> Result<(), StoreError> {
    state.archives.sweep(&state.store.archives_needed().await?).await;
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
    for id in state.store.deleting_functions(None).await? {
        let own = state.store.function_by_id(&id).await?;
        if own.is_some_and(|function| !namespaces.contains(&function.namespace_id)) {
            spawn_function(state, id);
        }
    }
    for id in namespaces {
        spawn_namespace(state, id);
    }
    Ok(())
}
