//! Creating, updating, deploying, deleting.

use axum::{Json, extract::State};

use super::{
    super::{
        HttpError,
        auth::{Caller, Id},
        json::Body,
        namespaces::settled,
        origin::Origin,
        settings::{self, SaidSettings, changes_what_runs, rescales},
        uploads::settle_uploads,
    },
    Asked, Wire,
};
use crate::{
    AppState, removal,
    store::{Fields, NewApplication, new_id},
};

pub(in crate::http) async fn create<K: Wire>(
    State(state): State<AppState>,
    caller: Caller,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<K::Create>,
) -> Result<Json<K::Answer>, HttpError> {
    let name = body.required_text("name");
    let namespace_id = body.required_text("namespace_id");
    K::check_name(&mut body, &name);
    let said = SaidSettings::take(&mut body, &state.config.limits);
    let asked = Asked { state: &state, caller: &caller, origin: &origin };
    let said_program = K::take(&mut body, &asked).await?;
    let program = K::initial(&said_program);
    let program = K::over(said_program, program, &mut body);
    let fields = Fields { program, settings: said.over(settings::defaults(), &mut body) };
    body.finish()?;
    settled(&state, &caller, &namespace_id).await?;
    let new = NewApplication { id: new_id(), namespace_id, name, fields };
    let quota = K::quota(&state.config.quotas);
    let row = state.store.create_application::<K>(&caller.tenant, new, quota).await?;
    Ok(Json(K::answer(row, &origin)))
}

pub(in crate::http) async fn update<K: Wire>(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
    Body { arguments: mut body, .. }: Body<K::Update>,
) -> Result<Json<K::Answer>, HttpError> {
    let redeploy = body.boolean("redeploy");
    let said = SaidSettings::take(&mut body, &state.config.limits);
    let asked = Asked { state: &state, caller: &caller, origin: &origin };
    let said_program = K::take(&mut body, &asked).await?;
    body.finish()?;
    let (mut rescaled, mut settled) = (false, !state.archives.is_settled_later());
    let updated = loop {
        let (said, said_program) = (said.clone(), said_program.clone());
        let updated = state
            .store
            .update_application::<K, _>(&caller.tenant, &id, |application| {
                let was = application.fields();
                let program = K::over(said_program, was.program.clone(), &mut body);
                let now = Fields { program, settings: said.over(was.settings.clone(), &mut body) };
                body.finish()?;
                rescaled = rescales(&was.settings, &now.settings);
                let changes = was.program != now.program || changes_what_runs(&was.settings, &now.settings);
                let unasked = application.live_revision.is_some() && changes;
                let redeploys = redeploy.unwrap_or(unasked);
                if redeploys && !settled { Err(Unchanged::Unsettled) } else { Ok((now, redeploys)) }
            })
            .await;
        match updated {
            // What was uploaded last is found out for a redeploy only: nothing else needs the bucket.
            Err(Unchanged::Unsettled) => settle_uploads::<K>(&state, &caller, &id).await?,
            Err(Unchanged::Refused(error)) => return Err(error),
            Ok(updated) => break updated,
        }
        settled = true;
    };
    if rescaled {
        state.deployments.rescaled(&id);
    }
    if updated.redeploys {
        state.deployments.poke();
    }
    Ok(Json(K::answer(updated.application, &origin)))
}

/// Why an update did not change anything.
enum Unchanged {
    /// It redeploys, and it is not known what was uploaded last.
    Unsettled,
    /// The caller's mistake, or the store's.
    Refused(HttpError),
}

impl<E: Into<HttpError>> From<E> for Unchanged {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

pub(in crate::http) async fn deploy<K: Wire>(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<K::Answer>, HttpError> {
    settle_uploads::<K>(&state, &caller, &id).await?;
    let (row, deploy) = state.store.request_deploy::<K>(&caller.tenant, &id).await?;
    tracing::info!(application.id = %id, deploy.id = %deploy.id, "a deploy was requested");
    state.deployments.poke();
    Ok(Json(K::answer(row, &origin)))
}

pub(in crate::http) async fn delete<K: Wire>(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<K::Answer>, HttpError> {
    let row = state.store.delete_application::<K>(&caller.tenant, &id).await?;
    removal::spawn_application(&state, row.deleting());
    Ok(Json(K::answer(row, &origin)))
}
