//! Namespaces.

use axum::{Json, extract::State};
use contract::api::{CreateNamespace, Namespace, NamespaceStatus, Namespaces, UpdateNamespace};

use super::{
    HttpError,
    auth::{Caller, Id},
    environment,
    json::Body,
    origin::Origin,
    page::{BY_TIME_OR_NAME, List, Pairs},
};
use crate::{
    AppState, removal,
    store::{NamespaceRow, NewNamespace, new_id},
    tokens,
};

pub(super) const LIST: List = List { kind: "namespace", orders: BY_TIME_OR_NAME, filters: &["name"] };

pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
    origin: Origin,
) -> Result<Json<Namespaces>, HttpError> {
    let selection = LIST.select(&query, &caller, &state.config.limits)?;
    let (rows, total_count) = state.store.list(&caller.tenant, &selection).await?;
    let namespaces = rows.into_iter().map(|row| answer(row, &origin)).collect();
    Ok(Json(Namespaces { namespaces, total_count }))
}

pub(super) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<CreateNamespace>,
) -> Result<Json<Namespace>, HttpError> {
    let name = body.required_text("name");
    let organization_id = body.text("organization_id");
    let description = body.text("description");
    let environment = environment::take(&mut body, &state.config.limits).unwrap_or_default();
    check_name(&mut body, &name);
    body.finish()?;
    caller.require_own(organization_id.as_deref(), "namespace", "create")?;
    let id = new_id();
    let new = NewNamespace { id: id.clone(), name, description, environment };
    let row = state.store.create_namespace(&caller.tenant, new, state.config.quotas.namespaces).await?;
    tokens::spawn_key_pair(&state, id);
    Ok(Json(answer(row, &origin)))
}

pub(super) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Namespace>, HttpError> {
    let row = state.store.get::<NamespaceRow>(&caller.tenant, &id).await?;
    Ok(Json(answer(row, &origin)))
}

pub(super) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<UpdateNamespace>,
) -> Result<Json<Namespace>, HttpError> {
    let description = body.text("description");
    let environment = environment::take(&mut body, &state.config.limits);
    body.finish()?;
    let row = state.store.update_namespace(&caller.tenant, &id, environment, description).await?;
    Ok(Json(answer(row, &origin)))
}

pub(super) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Namespace>, HttpError> {
    let row = state.store.delete_namespace(&caller.tenant, &id).await?;
    removal::spawn_namespace(&state, id);
    Ok(Json(answer(row, &origin)))
}

/// The namespace, once it is no longer `creating`; as it is when that takes too long.
pub(super) async fn settled(state: &AppState, caller: &Caller, id: &str) -> Result<NamespaceRow, HttpError> {
    let wait = async {
        loop {
            let mut rung = std::pin::pin!(state.namespace_settled.notified());
            // Listened to before the look, so that a ring in between is not missed.
            rung.as_mut().enable();
            let row = state.store.get::<NamespaceRow>(&caller.tenant, id).await?;
            if row.state != NamespaceStatus::Creating {
                return Ok(row);
            }
            rung.await;
        }
    };
    match tokio::time::timeout(state.config.namespace_wait, wait).await {
        Ok(settled) => settled,
        Err(_) => Ok(state.store.get::<NamespaceRow>(&caller.tenant, id).await?),
    }
}

/// `[A-Za-z0-9][A-Za-z0-9_-]{0,62}`; an empty name is refused as missing elsewhere.
pub(super) fn check_name(body: &mut super::arguments::Arguments, name: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let good = name.len() <= 63
        && name.bytes().all(plain)
        && name.bytes().next().is_none_or(|first| first.is_ascii_alphanumeric());
    if !good {
        body.refuse_constraint("name", "letters, digits, '_' and '-', a letter or digit first, at most 63");
    }
}

fn answer(row: NamespaceRow, origin: &Origin) -> Namespace {
    Namespace {
        registry_endpoint: origin.registry_endpoint(&row.slug),
        environment_variables: row.environment.expose().clone(),
        id: row.id,
        name: row.name,
        organization_id: row.organization_id,
        status: row.state,
        registry_namespace_id: row.registry_namespace_id,
        error_message: row.error_message,
        description: row.description,
        region: row.region,
    }
}
