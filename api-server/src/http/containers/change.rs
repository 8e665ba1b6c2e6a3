//! Creating, updating, deploying, deleting.

use axum::{Json, extract::State};
use contract::api::{Container, CreateContainer, UpdateContainer};

use super::{
    super::{
        HttpError,
        auth::{Caller, Id},
        json::Body,
        namespaces::settled,
        origin::Origin,
        settings::{changes_what_runs, rescales},
    },
    answer,
    fields::{Said, check_name},
};
use crate::{
    AppState, removal,
    store::{Image, NewApplication, new_id},
};

pub(in crate::http) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<CreateContainer>,
) -> Result<Json<Container>, HttpError> {
    let name = body.required_text("name");
    let namespace_id = body.required_text("namespace_id");
    check_name(&mut body, &name);
    let limits = &state.config.limits;
    let said = Said::take(&mut body, limits, &origin, &caller.tenant, &state.store).await?;
    let fields = said.over_defaults(&mut body);
    body.finish()?;
    settled(&state, &caller, &namespace_id).await?;
    let new = NewApplication { id: new_id(), namespace_id, name, fields };
    let row = state.store.create_application::<Image>(&caller.tenant, new).await?;
    Ok(Json(answer(row, &origin)))
}

pub(in crate::http) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<UpdateContainer>,
) -> Result<Json<Container>, HttpError> {
    let redeploy = body.boolean("redeploy");
    let limits = &state.config.limits;
    let said = Said::take(&mut body, limits, &origin, &caller.tenant, &state.store).await?;
    body.finish()?;
    let mut rescaled = false;
    let updated = state
        .store
        .update_application::<Image, _>(&caller.tenant, &id, |container| {
            let was = container.fields();
            let now = said.over(was.clone(), &mut body);
            body.finish()?;
            rescaled = rescales(&was.settings, &now.settings);
            let changes = was.program != now.program || changes_what_runs(&was.settings, &now.settings);
            let unasked = container.live_revision.is_some() && changes;
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
) -> Result<Json<Container>, HttpError> {
    let (row, deploy) = state.store.request_deploy::<Image>(&caller.tenant, &id).await?;
    tracing::info!(function.id = %id, deploy.id = %deploy.id, "a deploy was requested");
    state.deployments.poke();
    Ok(Json(answer(row, &origin)))
}

pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<Container>, HttpError> {
    let row = state.store.delete_application::<Image>(&caller.tenant, &id).await?;
    removal::spawn_application(&state, row.deleting());
    Ok(Json(answer(row, &origin)))
}
