//! `GET jwt/issue`.

use axum::{Json, extract::State};
use contract::api::{ArgumentReason, IssuedToken, NamespaceStatus};

use super::{
    HttpError, arguments::Problems, auth::Caller, namespaces::settled, operation::Parameter, page::Pairs,
};
use crate::{
    AppState,
    store::{Application, ContainerRow, FunctionRow, StoreError, now_ms},
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
    let mut problems = Problems::default();
    let named = named(&query, &mut problems);
    let expires = query.get("expiration_date").and_then(|text| expiration(text, now, &mut problems));
    problems.finish()?;
    let subject = subject(&state, &caller, named).await?;
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

/// Whom a query asks a token for.
enum Named<'a> {
    Namespace(&'a str),
    Function(&'a str),
    Container(&'a str),
    /// None or several: noted as a problem.
    Unclear,
}

fn named<'a>(query: &'a Pairs, problems: &mut Problems) -> Named<'a> {
    match (query.get("namespace_id"), query.get("function_id"), query.get("container_id")) {
        (Some(id), None, None) => return Named::Namespace(id),
        (None, Some(id), None) => return Named::Function(id),
        (None, None, Some(id)) => return Named::Container(id),
        (None, None, None) => {
            let help = "one of namespace_id, function_id, container_id is required";
            problems.refuse("namespace_id", ArgumentReason::Required, help);
        }
        _ => {
            let help = "only one of namespace_id, function_id, container_id may be given";
            problems.refuse("namespace_id", ArgumentReason::Constraint, help);
        }
    }
    Named::Unclear
}

async fn subject(state: &AppState, caller: &Caller, named: Named<'_>) -> Result<Subject, HttpError> {
    match named {
        Named::Namespace(id) => Ok(Subject::Namespace(id.to_owned())),
        Named::Function(id) => match state.store.get::<FunctionRow>(&caller.tenant, id).await {
            Ok(function) => Ok(application(function)),
            // Some clients name a container so.
            Err(missing @ StoreError::Missing { .. }) => {
                let container = state.store.get::<ContainerRow>(&caller.tenant, id).await;
                container.map(application).map_err(|_| missing.into())
            }
            Err(error) => Err(error.into()),
        },
        Named::Container(id) => Ok(application(state.store.get::<ContainerRow>(&caller.tenant, id).await?)),
        Named::Unclear => Err(HttpError::internal(&"a problem was noted and not answered")),
    }
}

fn application<K>(application: Application<K>) -> Subject {
    Subject::Application { namespace_id: application.namespace_id, application_id: application.id }
}

/// Seconds since the Unix epoch of `2020-01-02T00:00:00Z`, with or without milliseconds.
fn expiration(text: &str, now: i64, problems: &mut Problems) -> Option<i64> {
    let help = match text.parse::<jiff::Timestamp>() {
        Ok(at) if at.as_second() > now => return Some(at.as_second()),
        Ok(_) => "is in the past",
        Err(_) => "must be a date such as 2030-01-02T00:00:00Z",
    };
    problems.refuse("expiration_date", ArgumentReason::Constraint, help);
    None
}
