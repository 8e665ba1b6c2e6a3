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
        settings::{changes_what_runs, rescales},
    },
    answer,
    fields::Said,
};
use crate::{
    AppState, removal,
    store::{Code, NewApplication, new_id},
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
    let fields = Said::take(&mut body, &state.config.limits).over_defaults(&mut body);
    body.finish()?;
    settled(&state, &caller, &namespace_id).await?;
    let new = NewApplication { id: new_id(), namespace_id, name, fields };
    let row = state.store.create_application(&caller.tenant, new).await?;
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
    let said = Said::take(&mut body, &state.config.limits);
    body.finish()?;
    let mut rescaled = false;
    let updated = state
        .store
        .update_application(&caller.tenant, &id, |function| {
            let was = function.fields();
            let now = said.over(was.clone(), &mut body);
            body.finish()?;
            rescaled = rescales(&was.settings, &now.settings);
            let changes = was.program != now.program || changes_what_runs(&was.settings, &now.settings);
            let unasked = function.live_revision.is_some() && changes;
            Ok::<_, HttpError>((now, redeploy.unwrap_or(unasked)))
        })
        .await?;
    if rescaled {
        state.deployments.rescaled(&id);
    }
    if updated.redeploys {
        state.deployments.poke();
    }
    Ok(Json(answer(updated.application, &origin)))
}

pub(in crate::http) async fn deploy(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Function>, HttpError> {
    let (row, deploy) = state.store.request_deploy::<Code>(&caller.tenant, &id).await?;
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
    let row = state.store.delete_application::<Code>(&caller.tenant, &id).await?;
    removal::spawn_application(&state, row.deleting());
    Ok(Json(answer(row, &origin)))
}
