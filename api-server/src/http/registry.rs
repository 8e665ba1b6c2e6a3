//! `GET /registry/v1beta2/.../namespaces/{id}`, which the document's container tutorial calls.

use axum::{Json, extract::State};
use contract::api::RegistryNamespace;

use super::{
    HttpError,
    auth::{Caller, Id},
    origin::Origin,
};
use crate::{AppState, store::RegistryNamespaceRow};

pub(super) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<RegistryNamespace>, HttpError> {
    let row: RegistryNamespaceRow = state.store.get(&caller.tenant, &id).await?;
    Ok(Json(RegistryNamespace {
        endpoint: origin.registry_endpoint(&row.slug),
        id: row.id,
        name: row.slug,
        status: "ready".to_owned(),
        organization_id: row.organization_id,
        region: row.region,
    }))
}
