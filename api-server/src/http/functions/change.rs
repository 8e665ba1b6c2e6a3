//! Creating, updating, deploying, deleting.

use axum::{Json, extract::State};
use contract::api::{CreateFunction, Function, UpdateFunction};

use super::{
    super::{
        HttpError,
        auth::{Caller, Id},
        json::Body,
        namespaces::{check_name, settled},
        origin::Origin,
    },
    answer,
    fields::{Fields, changes_what_runs},
};
use crate::{
    AppState, removal,
    store::{NewFunction, new_id},
};

pub(in crate::http) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<CreateFunction>,
) -> Result<Json<Function>, HttpError> {
    let name = body.required_text("name");
    let namespace_id = body.required_text("namespace_id");
    check_name(&mut body, &name);
    let fields = Fields::take(&mut body, &state.config.limits).over_defaults(&mut body);
    body.finish()?;
    settled(&state, &caller, &namespace_id).await?;
    let new = NewFunction { id: new_id(), namespace_id, name, fields };
    let row = state.store.create_function(&caller.tenant, new).await?;
    Ok(Json(answer(row, &origin)))
}

pub(in crate::http) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<UpdateFunction>,
) -> Result<Json<Function>, HttpError> {
    let redeploy = body.boolean("redeploy");
    let fields = Fields::take(&mut body, &state.config.limits);
    body.finish()?;
    let mut rescales = false;
    let updated = state
        .store
        .update_function(&caller.tenant, &id, |function| {
            let was = function.fields();
            let now = fields.over(was.clone(), &mut body);
            body.finish()?;
            rescales = (was.min_scale, was.max_scale) != (now.min_scale, now.max_scale);
            let unasked = function.live_revision.is_some() && changes_what_runs(&was, &now);
            Ok::<_, HttpError>((now, redeploy.unwrap_or(unasked)))
        })
        .await?;
    if rescales {
        state.deployments.rescaled(&id);
    }
    if updated.redeploys {
        state.deployments.poke();
    }
    Ok(Json(answer(updated.function, &origin)))
}

pub(in crate::http) async fn deploy(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Function>, HttpError> {
    let (row, deploy) = state.store.request_deploy(&caller.tenant, &id).await?;
    tracing::info!(function.id = %id, deploy.id = %deploy.id, "a deploy was requested");
    state.deployments.poke();
    Ok(Json(answer(row, &origin)))
}

pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Function>, HttpError> {
    let row = state.store.delete_function(&caller.tenant, &id).await?;
    removal::spawn_function(&state, id);
    Ok(Json(answer(row, &origin)))
}
