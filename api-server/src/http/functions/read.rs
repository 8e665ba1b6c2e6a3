//! Getting and listing.

use axum::{Json, extract::State};
use contract::api::{Function, Functions, Page};

use super::{
    super::{
        HttpError,
        auth::{Caller, Id},
        origin::Origin,
        page::{FIRST, Pairs},
    },
    answer,
};
use crate::{AppState, store::FunctionFilter};

pub(in crate::http) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Function>, HttpError> {
    let row = state.store.function(&caller.organization_id, &caller.region, &id).await?;
    Ok(Json(answer(row, &origin)))
}

pub(in crate::http) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
    origin: Origin,
) -> Result<Json<Functions>, HttpError> {
    caller.require_own(query.get("organization_id"), "function", "list")?;
    let page = query.page(state.config.limits.page_size)?.unwrap_or(FIRST);
    let namespace_id = query.get("namespace_id").map(str::to_owned);
    answer_list(&state, caller, &query, &origin, namespace_id, Some(page)).await
}

/// All functions of the namespace, or a page when one is asked for.
pub(in crate::http) async fn list_of_namespace(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    query: Pairs,
    origin: Origin,
) -> Result<Json<Functions>, HttpError> {
    state.store.namespace(&caller.organization_id, &caller.region, &id).await?;
    let page = query.page(state.config.limits.page_size)?;
    answer_list(&state, caller, &query, &origin, Some(id), page).await
}

async fn answer_list(
    state: &AppState,
    caller: Caller,
    query: &Pairs,
    origin: &Origin,
    namespace_id: Option<String>,
    page: Option<Page>,
) -> Result<Json<Functions>, HttpError> {
    let filter = FunctionFilter {
        organization_id: caller.organization_id,
        region: caller.region,
        namespace_id,
        name: query.get("name").map(str::to_owned),
    };
    let (rows, total_count) = state.store.functions(&filter, query.order()?, page).await?;
    let functions = rows.into_iter().map(|row| answer(row, origin)).collect();
    Ok(Json(Functions { functions, total_count }))
}
