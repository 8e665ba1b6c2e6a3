//! Getting and listing.

use axum::{Json, extract::State};
use contract::api::{Container, Containers};

use super::{
    super::{
        HttpError,
        auth::{Caller, Id},
        origin::Origin,
        page::{BY_TIME_OR_NAME, List, Pairs},
    },
    answer,
};
use crate::{
    AppState,
    store::{ContainerRow, NamespaceRow, Selection},
};

pub(in crate::http) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Container>, HttpError> {
    let row = state.store.get::<ContainerRow>(&caller.tenant, &id).await?;
    Ok(Json(answer(row, &origin)))
}

/// Containers of the tenant.
pub(in crate::http) const LIST: List =
    List { kind: "container", orders: BY_TIME_OR_NAME, filters: &["namespace_id", "name"] };

pub(in crate::http) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
    origin: Origin,
) -> Result<Json<Containers>, HttpError> {
    let selection = LIST.select(&query, &caller, &state.config.limits)?;
    answer_list(&state, &caller, &selection, &origin).await
}

/// All containers of the namespace, or a page when one is asked for.
pub(in crate::http) async fn list_of_namespace(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    query: Pairs,
    origin: Origin,
) -> Result<Json<Containers>, HttpError> {
    let selection = LIST.select_within(&query, &caller, &state.config.limits, &id)?;
    state.store.get::<NamespaceRow>(&caller.tenant, &id).await?;
    answer_list(&state, &caller, &selection, &origin).await
}

async fn answer_list(
    state: &AppState,
    caller: &Caller,
    selection: &Selection,
    origin: &Origin,
) -> Result<Json<Containers>, HttpError> {
    let (rows, total_count) = state.store.list(&caller.tenant, selection).await?;
    let containers = rows.into_iter().map(|row| answer(row, origin)).collect();
    Ok(Json(Containers { containers, total_count }))
}
