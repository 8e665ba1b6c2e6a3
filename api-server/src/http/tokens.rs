//! `GET jwt/issue`.

use axum::{Json, extract::State};
use contract::api::{ApiError, ArgumentReason, IssuedToken, NamespaceStatus};

use super::{HttpError, auth::Caller, namespaces::settled, operation::Parameter, page::Pairs};
use crate::{
    AppState,
    store::{FunctionRow, StoreError, now_ms},
    tokens::{self, Subject},
};

/// Keys of its query.
pub(super) fn parameters() -> Vec<Parameter> {
    vec![
        Parameter::text("namespace_id", "For all private functions and containers of this namespace."),
        Parameter::text("function_id", "For this function alone."),
        Parameter::text("container_id", "For this container alone."),
        Parameter::date("expiration_date", "When it expires, in the future; without one it never does."),
    ]
}

pub(super) async fn issue(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
) -> Result<Json<IssuedToken>, HttpError> {
    let now = now_ms() / 1000;
    let subject = subject(&state, &caller, &query).await?;
    let expires = query.get("expiration_date").map(|text| expiration(text, now)).transpose()?;
    let (Subject::Namespace(namespace_id) | Subject::Application { namespace_id, .. }) = &subject;
    let namespace = settled(&state, &caller, namespace_id).await?;
    let key = state.store.signing_key(namespace_id).await?;
    let (NamespaceStatus::Ready | NamespaceStatus::Locked, Some(key), Some(public_key)) =
        (namespace.state, key, namespace.public_key)
    else {
        return Err(StoreError::Transient {
            resource: "namespace",
            id: namespace.id,
            state: crate::store::name_of(&namespace.state),
        }
        .into());
    };
    let token = tokens::issue(&key, subject, now, expires).map_err(|error| HttpError::internal(&error))?;
    Ok(Json(IssuedToken { token, public_key }))
}

async fn subject(state: &AppState, caller: &Caller, query: &Pairs) -> Result<Subject, HttpError> {
    match (query.get("namespace_id"), query.get("function_id"), query.get("container_id")) {
        (Some(id), None, None) => Ok(Subject::Namespace(id.to_owned())),
        (None, Some(id), None) => {
            let function = state.store.get::<FunctionRow>(&caller.tenant, id).await?;
            Ok(Subject::Application { namespace_id: function.namespace_id, application_id: function.id })
        }
        // This server has no containers, so none has this id.
        (None, None, Some(id)) => Err(HttpError(ApiError::not_found("container", id))),
        (None, None, None) => Err(HttpError(ApiError::argument(
            "namespace_id",
            ArgumentReason::Required,
            "one of namespace_id, function_id, container_id is required",
        ))),
        _ => Err(HttpError::constraint(
            "namespace_id",
            "only one of namespace_id, function_id, container_id may be given",
        )),
    }
}

/// Seconds since the Unix epoch of `2020-01-02T00:00:00Z`, with or without milliseconds.
fn expiration(text: &str, now: i64) -> Result<i64, HttpError> {
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        HttpError::constraint("expiration_date", "must be a date such as 2030-01-02T00:00:00Z")
    })?;
    let at = at.as_second();
    if at <= now { Err(HttpError::constraint("expiration_date", "is in the past")) } else { Ok(at) }
}
