//! Whose key it is, and which region is meant.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path};
use contract::api::{ApiError, ArgumentReason, PermissionDetail};
use http::request::Parts;

use super::HttpError;
use crate::{
    AppState,
    rate::Peer,
    store::{Tenant, hash_key},
};

/// A caller that has shown a key, in a region that exists.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// What it reaches.
    pub(super) tenant: Tenant,
}

impl Caller {
    /// Refuses another organization than the key's own; `None` is the own.
    pub(super) fn require_own(
        &self,
        organization_id: Option<&str>,
        resource: &str,
        action: &str,
    ) -> Result<(), HttpError> {
        match organization_id.filter(|id| !id.is_empty()) {
            Some(other) if other != self.tenant.organization_id => {
                Err(HttpError(ApiError::PermissionsDenied {
                    message: "organization_id: this key belongs to another organization".into(),
                    details: vec![PermissionDetail { resource: resource.into(), action: action.into() }],
                }))
            }
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, HttpError> {
        let denied = |message: &str| HttpError(ApiError::DeniedAuthentication { message: message.into() });
        let given = parts.headers.get("x-auth-token").and_then(|value| value.to_str().ok());
        let key = given.filter(|key| !key.is_empty());
        let (hash, peer) = (key.map(hash_key), parts.extensions.get::<Peer>().copied());
        let limiter = &state.limiter;
        limiter
            .before(hash.as_deref(), peer)
            .map_err(|many| HttpError::too_many(many, "without a good API key came from this address"))?;
        let known = match key {
            Some(key) => state.store.organization_of_key(key).await?,
            None => None,
        };
        let (Some(organization_id), Some(hash)) = (known, &hash) else {
            limiter.bad(hash.as_deref(), peer);
            return Err(denied(match key {
                Some(_) => "the API key in X-Auth-Token is unknown or has expired",
                None => "the header X-Auth-Token with an API key is missing",
            }));
        };
        limiter.good(hash).map_err(|many| HttpError::too_many(many, "came with this API key"))?;
        let Path(path) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| HttpError(ApiError::not_found("path", parts.uri.path())))?;
        let region = path.get("region").cloned().unwrap_or_default();
        if !state.config.regions.contains(&region) {
            let help = format!("{region:?} is not one of {}", state.config.regions.join(", "));
            return Err(HttpError(ApiError::argument("region", ArgumentReason::Unknown, help)));
        }
        Ok(Self { tenant: Tenant { organization_id, region } })
    }
}

/// What the path names: the value of its part that ends in `_id`.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await.ok();
        let id = path.and_then(|Path(path)| path.into_iter().find(|(name, _)| name.ends_with("_id")));
        id.map(|(_, id)| Self(id)).ok_or_else(|| HttpError(ApiError::not_found("path", parts.uri.path())))
    }
}
