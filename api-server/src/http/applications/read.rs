//! Getting and listing.

use axum::{Json, extract::State};

use super::{
    super::{
        HttpError,
        auth::{Caller, Id},
        origin::Origin,
        page::Pairs,
    },
    Wire,
};
use crate::{
    AppState,
    store::{Application, NamespaceRow, Selection},
};

pub(in crate::http) async fn get<K: Wire>(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<K::Answer>, HttpError> {
    let row = state.store.get::<Application<K>>(&caller.tenant, &id).await?;
    Ok(Json(K::answer(row, &origin)))
}

/// Those of the tenant.
pub(in crate::http) async fn list<K: Wire>(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
    origin: Origin,
) -> Result<Json<K::Page>, HttpError> {
    let selection = K::LIST.select(&query, &caller, &state.config.limits)?;
    page::<K>(&state, &caller, &selection, &origin).await
}

/// All of the namespace, or a page when one is asked for.
pub(in crate::http) async fn list_of_namespace<K: Wire>(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    query: Pairs,
    origin: Origin,
) -> Result<Json<K::Page>, HttpError> {
    let selection = K::LIST.select_within(&query, &caller, &state.config.limits, &id)?;
    state.store.get::<NamespaceRow>(&caller.tenant, &id).await?;
    page::<K>(&state, &caller, &selection, &origin).await
}

async fn page<K: Wire>(
    state: &AppState,
    caller: &Caller,
    selection: &Selection,
    origin: &Origin,
) -> Result<Json<K::Page>, HttpError> {
    let (rows, total_count) = state.store.list::<Application<K>>(&caller.tenant, selection).await?;
    let answers = rows.into_iter().map(|row| K::answer(row, origin)).collect();
    Ok(Json(K::page(answers, total_count)))
}
